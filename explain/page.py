"""Self-contained pages: one template each, Plotly figures, and nothing loaded from outside.

Everything that comes from a model or a file is untrusted text: jinja2 escapes all of it, and the
page's policy lets no script run but the two that are named there by their hash.
"""

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

FONT: Final = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_ENVIRONMENT = Environment(
    loader=PackageLoader("explain"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, figures: Mapping[str, go.Figure], **words: Any) -> str:
    """A page as one string.

    Args:
        template: its file in `templates`, which extends page.html.j2.
        figures: by the names that the template asks for.
        words: what else the template calls by name.
    """
    scripts = [_plotly(), _asset("figures.js")]
    return _ENVIRONMENT.get_template(template).render(
        figures={name: _figure(drawn) for name, drawn in figures.items()},
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
        style=_asset("report.css"),
        **words,
    )


def _figure(figure: go.Figure) -> Markup:
    """A figure as JSON that cannot close the script element which holds it."""
    figure.update_layout(template=go.layout.Template(), font={"family": FONT, "size": 13})
    return Markup(figure.to_json().replace("<", "\\u003c"))


@cache
def _plotly() -> Markup:
    return Markup(get_plotlyjs())


def _asset(name: str) -> Markup:
    """A style or script of our own."""
    return Markup(files("explain").joinpath("templates", name).read_text(encoding="utf-8"))


def _hash(script: str) -> str:
    """What a content security policy calls a script by."""
    return "sha256-" + b64encode(sha256(script.encode()).digest()).decode()
