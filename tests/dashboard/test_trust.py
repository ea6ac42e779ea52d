"""The page about trust, without a browser."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.triage import CHOICES, TRIAGE
from irl.jobs.trust_table import TRIAGE as TRIAGE_SCHEMA
from irl.records import (
    Caveat,
    ChoiceFigures,
    Detector,
    Lamp,
    PromptsReport,
    PromptSummary,
    RedTeamPair,
    Signal,
    TriageCounts,
    TrustGroup,
    TrustMeasures,
    TrustReport,
)
from irl.runs import open_run
from tests.dashboard.samples import HOSTILE, MARK, estimate, write_audit
from tests.dashboard.shown import drawn

pytestmark = pytest.mark.slow
CAVEATS = [Caveat(code="c", text=f"Members err alike. {HOSTILE}")]
NOTHING = dict.fromkeys(TrustMeasures.model_fields)
KNOWN = {"responses": 40, "prompts": 20, "kl_nats": estimate(3.0)}
MEASURES = TrustMeasures(**{**NOTHING, **KNOWN})
ABOUT = {"created": "2026-01-01T00:00:00+00:00", "versions": {}}


def page(**query: str) -> AppTest:
    return drawn("trust", **query)


def said(shown: AppTest) -> str:
    return " ".join(one.value for kind in (shown.title, shown.text, shown.info) for one in kind)


def write_trust(root: Path, name: str) -> Path:
    run = open_run("trust", {"reward": HOSTILE}, {}, root / name)
    measures = MEASURES.model_copy(update={"epistemic": estimate(0.1), "aleatoric": estimate(0.2)})
    signal = Signal(
        **{"name": "KL", "value": estimate(3.0), "amber": 2.0, "red": 5.0, "worse": "high"},
        **{"colour": "amber", "reason": f"KL is above 2. {HOSTILE}"},
    )
    report = TrustReport(
        **{"schema": "irl.trust/1", "run_id": run.run_id, "reward": HOSTILE, "members": 3},
        **{"source": HOSTILE, "data_policy": HOSTILE, "fitted_answers": 90, **ABOUT},
        data_nats_per_token=estimate(1.0),
        own_nats_per_token=estimate(1.0),
        held_out_pairs=30,
        held_out_accuracy=estimate(0.8),
        neighbours=5,
        lamp=Lamp(colour="amber", reasons=[f"KL is above 2. {HOSTILE}"]),
        signals=[signal],
        measures=measures,
        groups=[TrustGroup(group=HOSTILE, measures=measures, colour="red")],
        triage=[TriageCounts(category="settled", share=estimate(0.9), responses=36)],
        detectors=[Detector(name="distance", planted="p", auc=None, reason="nothing to plant")],
        input={},
        caveats=tuple(CAVEATS),
    )
    run.write_text("trust.json", report.to_json())
    rows = [
        dict.fromkeys(TRIAGE_SCHEMA.names)
        | {"response_id": f"r{at}", "prompt": HOSTILE, "response": HOSTILE}
        | {"category": "settled" if at % 2 else "boundary", "distance": float(at)}
        | {"probability": 0.5, "neighbour_texts": [HOSTILE], "neighbour_distances": [0.5]}
        | {"neighbour_wrong": [1.0]}
        for at in range(40)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=TRIAGE_SCHEMA), run.path / TRIAGE)
    run.finish({})
    return run.path


def write_prompts(root: Path, name: str) -> Path:
    run = open_run("prompts", {"log": HOSTILE}, {}, root / name)
    method = ChoiceFigures(
        **{"method": "head", "regret": estimate(0.1), "worst_regret": None},
        **{"outcome": estimate(0.6), "beyond_single": None},
    )
    summary = {"prompt_id": "p", "tried": 9, "outcome": estimate(0.5), "chosen": 3, "avoided": 2}
    pair = {"prompt_id": "p", "query": HOSTILE, "value": 0.1, "again": None, "response": None}
    report = PromptsReport(
        **{"schema": "irl.prompts/1", "run_id": run.run_id, "settings": {}, "source": "log"},
        **{"reward": "a head", "unit": "probability", "queries": 20, "candidates": 2, **ABOUT},
        judged_queries=9,
        head=None,
        answer_head=None,
        methods=[method],
        advice="per query",
        single=HOSTILE,
        prompts=[PromptSummary(prompt=HOSTILE, **summary)],
        red_team=[RedTeamPair(prompt=HOSTILE, **pair)],
        input={},
        caveats=CAVEATS,
    )
    run.write_text("prompts.json", report.to_json())
    columns = {"query_id": [f"q{at:02}" for at in range(20)], "query": [HOSTILE] * 20}
    columns |= {f"{kind}_prompt": [HOSTILE] * 20 for kind in ("advised", "best", "worst")}
    for kind in ("best", "worst"):
        columns |= {f"{kind}_{what}": [0.5] * 20 for what in ("value", "low", "high")}
    pq.write_table(pa.table(columns), run.path / CHOICES)
    run.finish({})
    return run.path


def test_without_runs_the_page_says_what_makes_one(root: Path):
    assert "No run of irl trust" in said(page())


def test_the_light_comes_first_with_its_reasons_and_nothing_is_markup(root: Path):
    write_trust(root, "trust")
    shown = page(run="trust")
    assert shown.title[0].value == "May this reward be believed here? Amber"
    assert "KL is above 2." in said(shown)
    assert shown.metric[0].value == "3.00"
    assert shown.dataframe[0].value["no longer green"][0] == "from 2 up"
    assert len(shown.get("plotly_chart")) == 2
    for kind in (shown.markdown, shown.caption, shown.title, shown.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def test_responses_are_listed_by_category_the_furthest_first_and_read_beside_neighbours(root: Path):
    write_trust(root, "trust")
    listed = page(run="trust").dataframe[-1].value
    assert list(listed["distance"])[:2] == [39.0, 38.0]
    chosen = page(run="trust", category="boundary", response="r4")
    rows, near = (table.value for table in chosen.dataframe[-2:])
    assert set(rows["category"]) == {"boundary"}
    assert list(near["text"]) == [HOSTILE]
    assert list(near["wrong"]) == [True]
    assert any("20 responses" in one.value for one in chosen.caption)
    assert "no response of this id" in said(page(run="trust", response="' OR 1=1"))


def test_prompts_are_shown_with_what_the_choice_is_worth(root: Path):
    write_prompts(root, "prompts")
    shown = page(run="prompts")
    assert shown.title[0].value == "Prompts: per query"
    assert len(shown.get("plotly_chart")) == 1
    methods, prompts, worst, queries = (table.value for table in shown.dataframe)
    assert list(methods["method"]) == ["head"]
    assert list(prompts["prompt"]) == list(worst["prompt"]) == [HOSTILE]
    assert len(queries) == 15
    assert len(page(run="prompts", page="2").dataframe[-1].value) == 5
    for kind in (shown.markdown, shown.caption, shown.title, shown.subheader):
        assert MARK not in " ".join(one.value for one in kind)


@pytest.mark.parametrize(("name", "file"), [("trust", "trust.json"), ("prompts", "prompts.json")])
def test_a_report_that_is_none_is_a_sentence(root: Path, name: str, file: str):
    run = write_trust(root, name) if name == "trust" else write_prompts(root, name)
    (run / file).write_text("{}", encoding="utf-8")
    assert f"is not a report of irl {name}" in said(page(run=name))


def test_an_unfinished_run_says_so(root: Path):
    open_run("trust", {"reward": "r"}, {}, root / "half")
    assert "This run is unfinished" in said(page(run="half"))


def test_a_full_audit_is_asked_about_on_the_same_page(root: Path):
    audit, trust = write_audit(root, "audited"), write_trust(root, "trust")
    for name in ("trust.json", TRIAGE):
        (audit / name).write_bytes((trust / name).read_bytes())
    shown = page(run="audited")
    assert shown.title[0].value == "May this reward be believed here? Amber"
    assert len(shown.dataframe[-1].value) > 0
