"""Maps of a full audit: read by response, coloured on one scale, or said to be missing."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.maps import FILE, map_scale, mapped, maps
from explain.jobs.attribution_report import ATTRIBUTIONS
from irl.errors import RunError
from tests.dashboard.samples import HOSTILE, write_audit
from tests.dashboard.shown import component, drawn, elements, texts


def write_maps(run: Path) -> None:
    rows = [
        {
            "response_id": "p31-a0",
            "source": "aligned",
            "method": method,
            "segments": ["please", HOSTILE, " you"],
            "in_response": [False, True, True],
            "values": [0.5 * size, -size, 0.25 * size],
            "target": 1.0,
            "baseline": 1.0 + 0.25 * size,
            "relative_gap": 0.001,
            "evaluations": 7,
        }
        for method, size in (("ablation", 2.0), ("integrated-gradients", 4.0))
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=ATTRIBUTIONS), run / FILE)


def test_maps_come_by_method_in_their_two_parts(root: Path):
    run = write_audit(root, "good")
    assert (mapped(run), maps(run, "p31-a0")) == ((), {})
    write_maps(run)
    assert mapped(run) == ("p31-a0",)
    found = maps(run, "p31-a0")
    assert list(found) == ["ablation", "integrated-gradients"]
    assert found["ablation"].prompt == [("please", 1.0)]
    assert found["ablation"].response == [(HOSTILE, -2.0), (" you", 0.5)]
    assert map_scale(run, "integrated-gradients") == 4.0
    assert maps(run, "p1-a0") == {}


def test_a_table_of_maps_that_is_none_is_a_sentence(root: Path):
    run = write_audit(root, "good")
    (run / FILE).write_text("no parquet")
    for asked in (lambda: maps(run, "p1-a0"), lambda: mapped(run), lambda: map_scale(run, "x")):
        with pytest.raises(RunError, match="cannot be read"):
            asked()


@pytest.mark.slow
def test_a_method_in_the_url_colours_prompt_and_response(root: Path):
    write_maps(write_audit(root, "good"))
    page = drawn("attributions", run="good", response="p31-a0", colour="integrated-gradients")
    prompt = component(page)
    assert prompt is not None
    assert [one[0] for one in prompt["tokens"]] == ["please"]
    assert prompt["high"] == "+4.00 nats, integrated-gradients"
    assert any("add up to -1.00 nats" in one.value for one in page.caption)
    plain = drawn("attributions", run="good", response="p1-a0", colour="integrated-gradients")
    given = component(plain)
    assert given is not None
    assert given["high"].endswith("paid for")  # this answer has no map


@pytest.mark.slow
def test_only_answers_with_a_map_are_listed_on_demand(root: Path):
    run = write_audit(root, "good")
    page = drawn("attributions", run="good", source="with a map")
    assert len(page.dataframe[0].value) == 0
    assert any("irl audit --full maps" in one.value for one in page.caption)
    write_maps(run)
    page = drawn("attributions", run="good", source="with a map")
    assert list(page.dataframe[0].value["response_id"]) == ["p31-a0"]


@pytest.mark.slow
def test_the_token_in_the_url_is_drilled_into(root: Path):
    write_audit(root, "good")
    page = drawn("attributions", run="good", response="p31-a0", token="1")
    assert page.subheader[0].value == "The chosen token"
    assert {"2 of 4", "-1.000 (0.368)", "-31.000", "+31.000"} <= set(texts(page))
    marked = [e.proto for e in elements(page._tree) if e.type == "bidi_component"]
    assert '"marked": 1' in marked[0].json or '"marked":1' in marked[0].json
    by_policy, extremes = page.dataframe[1].value, page.dataframe[2].value
    assert list(by_policy["times"]) == ["40", "20"]
    assert list(extremes["gained"])[:2] == [0.0, -1.0]
    gone = drawn("attributions", run="good", response="p31-a0", token="9")
    assert any("has 4 tokens; the URL names token 10" in text for text in texts(gone))
