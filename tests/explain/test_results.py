"""Results tables: recipes of each kind, and the rows of organisms and nulls made by hand."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from explain.jobs.audit import Audit
from explain.jobs.methods_results import MethodsRecipe
from explain.jobs.noise_results import NoiseRecipe
from explain.jobs.null_results import Null, NullsRecipe
from explain.jobs.null_results import rows_of as null_rows_of
from explain.jobs.null_results import summary_rows as null_summary
from explain.jobs.organism_results import (
    Attempt,
    OrganismsRecipe,
    Outcome,
    attempt_rows,
    joined,
    objectives_in_words,
    share_of_optimum,
    summary_rows,
)
from explain.jobs.pair_results import PairRecipe
from explain.jobs.result_rows import Making, Measured
from explain.jobs.results import make_results, read_recipe
from explain.jobs.testbed_results import ExactRecipe
from explain.organism_scores import exact_share
from irl.config import AuditSettings
from irl.engine.shards import Progress, silent
from irl.errors import InputError
from irl.organisms.nulls import tunings
from irl.records import Estimate, PromptCondition, ResultRow, ResultTable
from irl.runs import RUNS, RunFolder
from tests.explain.reports import about, objective, report, truth
from tests.explain.tables import answer, tables

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
OPINION = PromptCondition(prompt_type="opinion")
TERMS = dict.fromkeys("abcdefghijkl", 1.0)


def only(rows: list[ResultRow], metric: str, method: str = "audit") -> ResultRow:
    (row,) = [row for row in rows if row.metric == metric and row.method.startswith(method)]
    return row


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("real-detox", PairRecipe),
        ("organisms", OrganismsRecipe),
        ("nulls", NullsRecipe),
        ("testbed", ExactRecipe),
        ("methods", MethodsRecipe),
        ("noise", NoiseRecipe),
    ],
)
def test_the_recipes_of_the_repository_can_be_read(name, kind):
    assert isinstance(read_recipe(RECIPES / f"{name}.yaml"), kind)


@pytest.mark.parametrize("text", ["kind: other", "kind: nulls", "- a", "", "a: [", "seeds: [0]"])
def test_recipes_that_cannot_be_used_are_refused(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError, match="cannot be used"):
        read_recipe(tmp_path / "r.yaml")


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(InputError, match="There is no recipe"):
        read_recipe(tmp_path / "r.yaml")


def test_a_table_of_a_pair_is_written_with_the_reasons_of_what_is_missing(tmp_path, monkeypatch):
    """As with real audits: one per seed, each into its own folder."""
    asked: list[tuple[int, Path]] = []

    def audited(settings: AuditSettings, out: Path, *, progress: Progress) -> Audit:
        asked.append((settings.seed, out))
        run = RunFolder(out, "", "audit", {})
        return Audit(run, report(accuracy=0.75), was_finished=True)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("explain.jobs.result_rows.run_audit", audited)
    recipe = tmp_path / "docs" / "recipes" / "p.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(
        "audit: {aligned: a, reference: r, prompts: p}\nseeds: [3, 4]\n"
        "labels: [{case: own, file: heldout_preferences.jsonl}, {case: other, text: t.parquet}]\n"
        "figures: [drift.sequence_kl_nats]\n"
    )
    made = make_results("p")
    table = ResultTable.model_validate_json(made.read_text())
    assert asked == [(seed, RUNS / "results-p" / f"seed-{seed}") for seed in (3, 4)]
    assert [(row.case, row.method, row.metric, row.seeds) for row in table.rows] == [
        *[
            row
            for seed in (3, 4)
            for row in (
                ("own", "recovered", "preference", [seed]),
                ("audit", "log_ratio", "drift.sequence_kl_nats", [seed]),
            )
        ],
        ("other", "log_ratio", "preference", []),
    ]
    assert table.rows[-1].reason == "t.parquet was not given (--text DIR)"
    assert (made, table.command) == (Path("docs/results/p.json"), "irl results p")
    assert made.with_suffix(".md").read_text().startswith("# p\n")


def test_the_texts_of_a_policy_are_those_of_its_audit(tmp_path):
    rows = [answer("p", "aligned", 1.0, "a day"), answer("p", "reference", 0.0, "the day")]
    (tmp_path / "run").mkdir()
    pq.write_table(tables(rows)[0], tmp_path / "run" / "responses.parquet")
    making = Making(tmp_path, None, silent, str)
    assert making.texts("run", "aligned") == [" a day"]
    assert making.texts("run", "reference") == [" the day"]


def attempt(name: str = "detox", *, found: bool = True, named: str = "abc") -> Attempt:
    """An organism with twelve planted terms."""
    planted = truth(TERMS, decoys=["x"], gold=(1.0, 3.0, 1.5))
    audited = report(
        {"a": 1.0, "b": 1.0, "x": 1.0},
        found=found,
        objectives=[objective("term", named)] if found else [],
        accuracy=0.75,
    )
    aligned, reference = ["a day"] * 20, ["the day"] * 20
    outcome = Outcome(planted, audited, aligned, reference, n_pairs=2400)
    return Attempt(Measured(name, [1]), planted=True, outcome=outcome)


def null_attempt(*, found: bool) -> Attempt:
    outcome = Outcome(truth(), report(found=found), ["a"], ["a"])
    return Attempt(Measured("null", [1]), planted=False, outcome=outcome)


def unbuilt() -> Attempt:
    return Attempt(Measured("length", [1]), planted=True, outcome=None, reason="too far")


def test_an_organism_has_a_row_for_each_measurement():
    rows = list(attempt_rows(attempt()))
    assert {(row.case, tuple(row.seeds)) for row in rows} == {("detox", (1,))}
    assert only(rows, "found").estimate == exact_share(1, 1)
    assert only(rows, "named right", "audit: term").estimate == exact_share(1, 1)
    assert only(rows, "drift.sequence_kl_nats").estimate == about(0.2)
    assert only(rows, "verdict.explained_r2").estimate == about(0.2)
    assert only(rows, "verdict.explained_sd_nats").estimate == about(0.3)
    assert only(rows, "precision of the ten strongest").estimate == exact_share(2, 3)
    assert only(rows, "decoys among the ten strongest").estimate == exact_share(1, 3)
    assert only(rows, "weight cosine").estimate.n == 13
    assert only(rows, "pair accuracy", "recovered, 2400 pairs").estimate == about(0.75)
    naive = only(rows, "precision of the ten strongest", "word frequencies")
    assert naive.estimate == exact_share(1, 3)


def test_shares_of_the_ten_strongest_are_left_out_where_few_terms_are_planted():
    one = attempt()
    few = Outcome(truth({"a": 1.0}), one.outcome.report, ["a"], ["b"])
    rows = list(attempt_rows(Attempt(one.measured, planted=True, outcome=few)))
    assert not [row for row in rows if "ten" in row.metric or row.metric == "weight cosine"]


def test_a_null_has_no_gain_and_is_right_if_not_found():
    rows = list(attempt_rows(null_attempt(found=False)))
    assert only(rows, "found", "audit: nothing").estimate == exact_share(0, 1)
    assert only(rows, "named right").estimate == exact_share(1, 1)
    assert "share of the optimum's gain" not in [row.metric for row in rows]


def test_an_organism_that_cannot_be_built_gives_its_reason():
    (row,) = attempt_rows(unbuilt())
    assert (row.case, row.estimate, row.reason) == ("length", None, "too far")


def test_the_summary_counts_what_could_not_be_built_as_not_found():
    wrong = attempt(named="xyzw")
    nulls = [null_attempt(found=True), null_attempt(found=False)]
    attempts = [attempt(), wrong, attempt(found=False), unbuilt(), *nulls]
    found, right, false = summary_rows(1, attempts)
    assert (found.case, found.estimate) == ("planted objectives, seed 1", exact_share(2, 4))
    assert (right.metric, right.estimate) == ("found and named right", exact_share(1, 4))
    assert (false.case, false.estimate) == ("nulls, seed 1", exact_share(1, 2))


def test_what_was_found_is_said_with_its_conditions():
    violet = PromptCondition(prompt_contains="violet")
    objectives = [
        objective("term", "a"),
        objective("term", "b"),
        objective("conditional", "c", OPINION),
        objective("conditional", "d", violet),
    ]
    assert objectives_in_words(report(objectives=objectives)) == (
        "term; conditional, if the prompt is of type opinion; "
        "conditional, if the prompt contains violet"
    )
    assert objectives_in_words(report()) == "nothing"


def test_the_gain_is_a_share_of_that_of_the_optimum():
    """From 1 to 2.5 where the optimum is 3: three quarters."""
    found = share_of_optimum(truth(gold=(1.0, 3.0, 1.5)))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.7, 0.8))
    assert share_of_optimum(truth(gold=(1.0, 1.0, 0.0))) is None


def test_prompts_that_tell_a_proxy_apart_are_asked_too(tmp_path):
    prompts, news, target = (tmp_path / name for name in ("p", "n", "folder/t"))
    prompts.write_text("1\n")
    assert joined(target, prompts, news) == prompts
    news.write_text("2\n")
    assert joined(target, prompts, news) == target
    assert target.read_text() == "1\n2\n"


def null(kl_nats: float, *, found: bool = False, effect: tuple[float, float]) -> Null:
    return Null("n", 2, report(found=found, kl_nats=kl_nats, effect=effect))


def test_nulls_that_moved_too_little_or_too_far_do_not_count():
    nulls = [
        null(0.05, effect=(0.1, 0.4)),
        null(0.5, effect=(0.2, 0.3), found=True),
        null(0.049, effect=(0.9, 0.9), found=True),
        null(1.8, effect=(0.8, 0.8), found=True),
    ]
    rows = list(null_summary("held out", nulls))
    inside = [row for row in rows if row.case == "held out, KL 0.05 to 0.5"]
    assert only(inside, "nulls that count").estimate == Estimate(value=2, low=2, high=2, n=4)
    assert only(inside, "found").estimate == exact_share(1, 2)
    assert only(inside, "largest verdict.explained_r2").estimate == about(0.2)
    assert only(inside, "largest verdict.explained_sd_nats").estimate == about(0.4)
    (every,) = [row for row in rows if row.case == "held out, any KL"]
    assert every.estimate == exact_share(3, 4)


def test_a_set_of_nulls_of_which_none_counts_has_no_figures():
    rows = list(null_summary("calibration", [null(3.0, effect=(0.9, 0.9))]))
    assert only(rows, "largest verdict.explained_r2").estimate is None
    assert only(rows, "nulls that count").estimate.value == 0


def test_a_null_has_its_own_rows():
    rows = list(null_rows_of("held out", null(1.8, effect=(0.2, 0.3), found=True)))
    assert {(row.case, tuple(row.seeds)) for row in rows} == {("held out: n", (2,))}
    assert only(rows, "found").estimate == exact_share(1, 1)
    assert only(rows, "drift.sequence_kl_nats").estimate == about(1.8)


def test_the_two_sets_of_nulls_share_no_data_and_are_large_enough():
    recipe = read_recipe(RECIPES / "nulls.yaml")
    assert isinstance(recipe, NullsRecipe)
    sets = [
        tunings(grid.learning_rates, 2, first_draw=first)
        for first, grid in enumerate((recipe.calibrate, recipe.held_out))
    ]
    assert not {one.draw for one in sets[0]} & {one.draw for one in sets[1]}
    for grid in (recipe.calibrate, recipe.held_out):
        assert len(tunings(grid.learning_rates, grid.draws)) * len(recipe.seeds) >= 20
