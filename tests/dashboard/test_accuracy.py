"""The page about accuracy, without a browser."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import loading, measured, prompt_groups, recoveries
from irl.records import RecoveryReport
from irl.runs import open_run
from tests.dashboard.recovered import (
    checkpoint,
    contraction,
    report,
    truth,
    with_truth,
    write_recovery,
)
from tests.dashboard.samples import (
    HOSTILE,
    MARK,
    audit_report,
    responses_table,
    write_audit,
    write_report,
)
from tests.dashboard.shown import drawn, elements, texts

pytestmark = pytest.mark.slow

PAIRS = ["Who wrote what", "Are its odds right?", "By length", "By group of prompts"]


def page(run: str | None = None) -> AppTest:
    return drawn("accuracy", **({"run": run} if run else {}))


def sections(asked: AppTest) -> list[str]:
    return [one.value for one in asked.subheader]


def charts(asked: AppTest) -> list[str]:
    return [e.proto.alt for e in elements(asked._tree) if e.type == "plotly_chart"]


def write_organism(root: Path, name: str) -> Path:
    """An audit of a pair whose truth is known."""
    path = write_audit(root, name)
    run = open_run("audit", {"aligned": HOSTILE, "n": 1}, {}, root / name, fresh=True)
    told = audit_report(run.run_id).model_copy(
        update={"truth": truth(), "contraction": contraction()}
    )
    run.write_text("report.json", told.to_json())
    run.write_table("responses.parquet", with_truth(responses_table()))
    run.finish({})
    return path


def test_without_audits_the_page_says_so(root: Path):
    assert "no audit yet" in page().info[0].value


def test_labels_curves_odds_lengths_groups_and_wrong_cases_are_shown(root: Path):
    write_audit(root, "good")
    asked = page("good")
    assert sections(asked) == ["Agreement with labels", *PAIRS, "Read where it errs"]
    assert len(charts(asked)) == 3
    assert "The prompts make no two groups." in texts(asked)
    wrong = asked.dataframe[-1].value
    assert (wrong["margin"] < 0).all()
    assert wrong["margin"].is_monotonic_increasing
    for kind in (asked.markdown, asked.caption, asked.title, asked.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def test_a_link_shows_what_its_sender_saw(root: Path):
    path = write_organism(root, "organism")
    write_recovery(root, "pairs", report())
    chosen = {"figure": "AUC of who wrote what", "odds": "recovered reward", "plane": "log-ratio"}
    asked = drawn("accuracy", run="organism", wrong="log-ratio", **chosen)
    shown = {one.label: one.value for one in asked.segmented_control}
    assert shown["Drawn"] == "AUC of who wrote what"
    assert shown["Of the"] == "recovered reward"
    assert shown["Answer by answer, by the"] == "log-ratio"
    assert shown["Ranked by the"] == "log-ratio"
    assert shown["Prompts by"] == "type"
    foreign = drawn("accuracy", run="organism", figure=MARK, groups=MARK, page="99")
    assert {one.label: one.value for one in foreign.segmented_control}["Drawn"] != MARK
    assert measured.wrong_pairs(path, "reward_nats", 99).number == 1
    assert measured.prompts(path, 99).number == 1


@pytest.mark.parametrize("filled", [True, False])
def test_without_two_answers_to_a_prompt_it_says_so(root: Path, filled: bool):
    if filled:
        write_report(root, "bare", audit_report("bare").to_json())
    else:
        write_audit(root, "bare", filled=False)
    said = " ".join(texts(page("bare")))
    assert ("no responses.parquet" if filled else "no two answers") in said


def test_a_score_that_ranks_by_who_wrote_it_is_always_right(root: Path):
    path = write_audit(root, "good")
    told = measured.told_apart(path, "log_ratio_nats")
    right = [one for one in told.by_length if one is not None]
    assert told.pairs == sum(one.n for one in told.bins)
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in right)


def test_what_an_organism_was_paid_is_held_against_its_answers(root: Path):
    write_organism(root, "organism")
    asked = page("organism")
    assert sections(asked)[-3:] == [
        "Against the true reward",
        "What more prompts tell",
        "Read where it errs",
    ]
    assert charts(asked)[-2:] == [
        "How many answers have which true reward and which score",
        "Variance of the weights and coverage of their intervals over the number of prompts",
    ]
    (agreed,) = [one.value for one in asked.dataframe if "slope" in one.value]
    assert agreed["score"].tolist() == ["log-ratio", "recovered reward"]
    assert set(agreed["slope"]) == {"0.700 (0.650 to 0.750, n = 64)"}
    assert any("6.2% of what was assumed" in one.value for one in asked.caption)


def test_groups_are_by_type_where_it_is_known_and_never_by_text_in_markdown(root: Path):
    path = write_organism(root, "organism")
    assert prompt_groups.ways(path, []) == ["type"]
    right = prompt_groups.right_by_group(path, [], "type")
    assert right.labels == [f"{HOSTILE} 0", f"{HOSTILE} 1"]
    by_hand = [_right(path, "log_ratio_nats", kind) for kind in (0, 1)]
    assert [one.value for one in right.shares[0] if one] == pytest.approx(by_hand)
    assert [one.n for one in right.shares[0] if one] == [10, 10]
    asked = page("organism")
    for kind in (asked.markdown, asked.caption, asked.title, asked.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def _right(run: Path, score: str, kind: int) -> float:
    """Of all pairs to prompts of a type."""
    rows = pq.read_table(run / "responses.parquet").to_pandas()
    rows = rows[rows["prompt_id"].str[1:].astype(int) % 2 == kind]
    ours, theirs = (rows[rows["source"] == side] for side in ("aligned", "reference"))
    both = ours.merge(theirs, on="prompt_id")
    return float((both[f"{score}_x"] > both[f"{score}_y"]).mean())


def test_rewards_of_the_same_pair_stand_beside_an_audit(root: Path):
    write_audit(root, "good")
    write_recovery(root, "pairs", report())
    write_recovery(root, "margin", report("max-margin", 0.7))
    write_recovery(root, "other", report(aligned=checkpoint("1" * 64)))
    write_recovery(root, "samples", report(aligned=None))
    write_recovery(root, "damaged", "{")
    asked = page("good")
    assert "Methods and seeds" in sections(asked)
    methods, seeds = (one.value for one in asked.dataframe[1:3])
    assert sorted(methods["run"]) == ["margin", "pairs"]
    assert dict(zip(methods["run"], methods["mean"], strict=True)) == {"pairs": 0.8, "margin": 0.7}
    assert len(seeds) == 6
    assert seeds["chosen"].sum() == 2


def test_a_recovery_is_shown_by_itself_first_among_those_of_its_pair(root: Path):
    write_recovery(root, "pairs", report(), answers=True)
    write_recovery(root, "margin", report("max-margin", 0.7))
    asked = page("pairs")
    assert "linear" not in " ".join(texts(asked))
    assert any(text.startswith("kind, <img") for text in texts(asked))
    assert any("Not all is well" in text for text in texts(asked))
    assert asked.dataframe[1].value["run"].tolist() == ["pairs", "margin"]
    assert sections(asked)[-5:] == [*PAIRS, "Read where it errs"]
    for kind in (asked.markdown, asked.caption, asked.title, asked.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def test_a_recovery_without_answers_seeds_or_labels_is_shown_all_the_same(root: Path):
    bare = report(by_seed=None, recovery=None, words=None).model_copy(update={"accuracy": []})
    write_recovery(root, "terms", bare)
    asked = page("terms")
    said = " ".join(texts(asked))
    assert "No labels were given." in said
    assert "no responses.parquet" in said
    assert asked.dataframe[0].value["method"].tolist() == ["log-ratio"]
    assert "irl recover" in asked.code[0].value


@pytest.mark.parametrize("damage", ["{", "[]", None])
def test_a_damaged_recovery_says_so(root: Path, damage: str | None):
    write_recovery(root, "bad", damage)
    said = " ".join(texts(page("bad")))
    assert "recovery.json" in said


def test_earlier_recoveries_are_read_but_name_no_pair(root: Path):
    new = {"aligned", "reference", "by_seed", "truth"}
    text = report().model_dump_json(exclude=new)
    write_recovery(root, "old", text)
    (run,) = loading.runs()
    assert recoveries.held(run).pair is None
    assert RecoveryReport.model_validate_json(text).by_seed is None
    assert loading.is_recovery(run)
    assert "Reward accuracy" in (run.problem or "")
