"""What a page shows, as a test reads it."""

import json
from collections.abc import Iterator
from typing import Any

from streamlit.testing.v1 import AppTest

SECONDS = 60
VERBATIM = {"text", "code", "dataframe", "selectbox"}
"Elements that show text as it is"


def shown(page: AppTest) -> AppTest:
    """The page after one run, which must not have failed."""
    page.run()
    assert not page.exception
    return page


def texts(page: AppTest) -> list[str]:
    return [element.value for element in page.text]


def elements(block: Any) -> Iterator[Any]:
    for child in getattr(block, "children", {}).values():
        yield child
        yield from elements(child)


def without_id(proto: str) -> str:
    """Identifiers hold keys, and are not shown."""
    lines = proto.splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("id:"))


def component(page: AppTest) -> dict[str, Any] | None:
    """What the component of tokens was given, if it is on the page."""
    found = [e.proto for e in elements(page._tree) if e.type == "bidi_component"]
    return json.loads(found[0].json) if found else None


def view(name: str, arguments: str = "") -> AppTest:
    """One of dashboard.views, which has not been drawn yet; `arguments` as Python writes them."""
    script = f"from dashboard.views import {name}\n{name}.render({arguments})"
    return AppTest.from_string(script, default_timeout=SECONDS)


def drawn(name: str, **query: str | list[str]) -> AppTest:
    """The same, drawn for what a URL asks."""
    page = view(name)
    for key, value in query.items():
        page.query_params[key] = value
    return shown(page)
