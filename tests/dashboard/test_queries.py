"""SQL over a run's tables against plain readings of the same rows."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_curve

from dashboard import pair_queries, queries, truth_queries
from irl.errors import RunError

N = 400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Responses in a folder whose name DuckDB would read as a pattern."""
    folder = tmp_path / "a [run] * ?"
    folder.mkdir()
    nats = np.round(np.random.default_rng(0).normal(0.5, 2, N), 1)
    rows = {
        "response_id": [f"r{at}" for at in range(N)],
        "prompt_id": [f"p{at % 40}" for at in range(N)],
        "prompt": [f"say {at % 40}" for at in range(N)],
        "source": ["aligned" if at % 2 else "reference" for at in range(N)],
        "log_ratio_nats": [None if at == 7 else float(value) for at, value in enumerate(nats)],
        "response": [f"I say {at}" for at in range(N)],
        "n_tokens": [at % 9 for at in range(N)],
    }
    target = folder / "responses.parquet"
    pq.write_table(pa.table(rows), target)
    return target


def nats(file: Path, source: str) -> np.ndarray:
    table = pq.read_table(file).to_pandas()
    return table[table["source"] == source]["log_ratio_nats"].dropna().to_numpy()


@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_pages_in_an_order_are_the_sorted_rows_with_ties_as_written(file: Path, direction: str):
    rows = pq.read_table(file).to_pylist()
    told = [row for row in rows if row["log_ratio_nats"] is not None]
    sign = 1 if direction == "ascending" else -1
    wanted = [*sorted(told, key=lambda row: sign * row["log_ratio_nats"]), rows[7]]
    order = "log_ratio_nats", direction
    pages = [
        queries.page(file, ["response_id"], queries.Wanted(), order, (first, 90))
        for first in range(0, N, 90)
    ]
    found = [one for page in pages for one in page["response_id"].to_pylist()]
    assert found == [row["response_id"] for row in wanted]


def test_every_response_is_in_one_bin(file: Path):
    found = queries.histogram(file, 13)  # no value lies on one of these edges
    both = np.concatenate([nats(file, source) for source in ("aligned", "reference")])
    assert (found.edges[0], found.edges[-1]) == pytest.approx((both.min(), both.max()))
    for source, counts in found.counts.items():
        assert sum(counts) == len(nats(file, source))
    whole = np.sum(list(found.counts.values()), axis=0)
    middles = np.array(found.edges[:-1]) + 0.5 * np.diff(found.edges)
    nearest = np.abs(both[:, None] - middles).argmin(1)
    assert np.abs(whole - np.bincount(nearest, minlength=13)).sum() <= 2, "an edge may round"


def test_quantiles_are_those_of_each_policy(file: Path):
    found = queries.quantiles(file)
    for source, values in found.values.items():
        assert values == pytest.approx(np.quantile(nats(file, source), found.shares))


def test_prompts_come_by_the_mean_log_ratio_of_aligned_answers(file: Path):
    table = pq.read_table(file).to_pandas()
    means = table[table["source"] == "aligned"].groupby("prompt_id")["log_ratio_nats"].mean()
    found = queries.prompts(file, (0, 50))
    wanted = means.sort_values(ascending=False)
    assert found["kl_nats"].to_pylist() == pytest.approx(list(wanted))
    assert set(found["prompts"].to_pylist()) == {len(means)}
    assert queries.prompts(file, (5, 3))["kl_nats"].to_pylist() == pytest.approx(list(wanted[5:8]))


def test_log_ratios_of_aligned_answers_are_added_up_prompt_by_prompt(file: Path):
    table = pq.read_table(file).to_pandas()
    aligned = table[(table["source"] == "aligned") & table["log_ratio_nats"].notna()]
    sums = aligned.groupby("prompt_id")["log_ratio_nats"].agg(["sum", "count"])
    found = queries.moved_by_prompt(file)
    assert found["prompt_id"].to_pylist() == list(sums.index)
    assert found["nats"].to_pylist() == pytest.approx(list(sums["sum"]))
    assert found["answers"].to_pylist() == list(sums["count"])
    assert found["prompt_type"].null_count == found.num_rows


def test_some_prompts_are_the_same_ones_each_time_with_their_means(file: Path):
    table = pq.read_table(file).to_pandas()
    aligned = table[(table["source"] == "aligned") & table["log_ratio_nats"].notna()]
    means = aligned.groupby("prompt_id")["log_ratio_nats"].mean()
    every = queries.some_prompts(file, 99).to_pylist()
    assert {one["prompt_id"]: one["kl_nats"] for one in every} == pytest.approx(dict(means))
    assert {one["prompts"] for one in every} == {len(means)}
    assert queries.some_prompts(file, 5).to_pylist() == every[:5]
    owner = dict(zip(aligned["response_id"], aligned["prompt_id"], strict=True))
    assert all(owner[one["response_id"]] == one["prompt_id"] for one in every)


def test_log_ratios_are_centred_over_all_answers_to_a_prompt_whoever_is_asked_for(file: Path):
    table = pq.read_table(file).to_pandas()
    centred = table["log_ratio_nats"] - table.groupby("prompt_id")["log_ratio_nats"].transform(
        "mean"
    )
    aligned = table["source"] == "aligned"
    wanted = (
        table[aligned].assign(by=centred.abs()).sort_values("by", ascending=False, kind="stable")
    )
    order = "abs(centred_nats)", "descending"
    found = queries.page(file, ["response_id"], queries.Wanted("aligned"), order, (0, 20))
    by = dict(zip(wanted["response_id"], wanted["by"], strict=True))
    assert [by[one] for one in found["response_id"].to_pylist()] == pytest.approx(
        list(wanted["by"][:20])
    )


def test_only_some_responses_are_asked_for_by_their_ids(file: Path):
    wanted = queries.Wanted(ids=("r3", "r4", "no such"))
    assert queries.count(file, wanted) == 2
    assert queries.count(file, queries.Wanted("aligned", ids=("r3", "r4"))) == 1
    assert queries.count(file, queries.Wanted(ids=())) == 0


def test_nothing_that_is_asked_for_is_read_as_sql(file: Path):
    with pytest.raises(RunError, match="no response of this id"):
        queries.row(file, "x' OR '1'='1")
    assert queries.count(file, queries.Wanted("aligned' OR '1'='1")) == 0
    assert queries.row(file, "r3")["prompt_id"] == "p3"


def test_a_table_without_answers_has_empty_figures(tmp_path: Path):
    empty = tmp_path / "responses.parquet"
    pq.write_table(
        pa.table(
            {"source": pa.array([], pa.string()), "log_ratio_nats": pa.array([], pa.float64())}
        ),
        empty,
    )
    assert queries.histogram(empty, 9) == queries.Histogram([], {})
    assert queries.quantiles(empty).values == {}
    with pytest.raises(RunError, match="cannot be read"):
        queries.prompts(empty, (0, 9))


def test_text_is_found_in_prompts_and_responses_in_whatever_case(file: Path):
    for find, n in (("SAY 39", 19), ("i say 399", 1), ("_", 0), ("", N)):
        assert queries.count(file, queries.Wanted(find=find)) == n
    assert queries.count(file, queries.Wanted("aligned", "say 39")) == 14


def test_answers_to_one_prompt_come_from_both_policies_highest_first(file: Path):
    found = queries.answers(file, ["response_id", "prompt_id", "source"], "r43", 3)
    assert found["prompt_id"].to_pylist() == ["p3"] * 3
    assert set(found["source"].to_pylist()) == {"aligned"}
    assert sorted(found["response_id"].to_pylist()) == ["r3", "r43", "r83"]


# --- pairs: one answer of each policy to one prompt ----------------------------------------------


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Six answers of each policy to thirty prompts, each with a constant of its own."""
    n = 30 * 12
    prompt, aligned = np.arange(n) // 12, np.arange(n) % 2 == 1
    rng = np.random.default_rng(1)
    score = np.round(rng.normal(0.6 * aligned, 1.0) + 50 * prompt, 1)
    target = tmp_path / "responses.parquet"
    rows = {
        "response_id": [f"r{at}" for at in range(n)],
        "prompt_id": [f"p{at}" for at in prompt],
        "prompt": [f"say {at}" for at in prompt],
        "response": [f"I say {at}" for at in range(n)],
        "source": ["aligned" if one else "reference" for one in aligned],
        "score": score,
        "n_tokens": rng.integers(5, 40, n),
    }
    pq.write_table(pa.table(rows), target)
    return target


def plain_pairs(file: Path) -> pd.DataFrame:
    table = pq.read_table(file).to_pandas()
    both = [table[table["source"] == source] for source in ("aligned", "reference")]
    return both[0].merge(both[1], on="prompt_id", suffixes=("_a", "_r"))


def test_the_curve_is_the_receiver_operating_characteristic(pairs: Path):
    table = pq.read_table(pairs).to_pandas()
    centred = table["score"] - table.groupby("prompt_id")["score"].transform("mean")
    fpr, tpr, _ = roc_curve(table["source"] == "aligned", centred.round(9), drop_intermediate=False)
    found = pair_queries.roc(pairs, "score", 10_000)
    assert [0.0, *found["fpr"].to_pylist()] == pytest.approx(list(fpr))
    assert [0.0, *found["tpr"].to_pylist()] == pytest.approx(list(tpr))
    thinned = pair_queries.roc(pairs, "score", 20)
    assert thinned.num_rows < 60
    assert (thinned["fpr"][-1].as_py(), thinned["tpr"][-1].as_py()) == (1.0, 1.0)


def test_bins_hold_every_pair_and_say_how_often_odds_were_right(pairs: Path):
    margins = plain_pairs(pairs).eval("score_a - score_r").to_numpy()
    found = pair_queries.reliability(pairs, "score").to_pandas()
    assert found["n"].sum() == len(margins) == 30 * 36
    hits = (margins > 0) + 0.5 * (margins == 0)
    assert (found["share_right"] * found["n"]).sum() == pytest.approx(hits.sum())
    p = 1 / (1 + np.exp(-np.abs(margins)))
    assert (found["probability"] * found["n"]).sum() == pytest.approx(p.sum())
    assert found["probability"].is_monotonic_increasing


def test_pairs_by_length_are_those_of_plain_python(pairs: Path):
    table = plain_pairs(pairs)
    longer = (table["n_tokens_a"] - table["n_tokens_r"]).to_numpy()
    right = (table["score_a"] > table["score_r"]) + 0.5 * (table["score_a"] == table["score_r"])
    found = pair_queries.right_by_length(pairs, "score", [-10, -3, 4, 11]).to_pandas()
    for at, (low, high) in enumerate(pairwise([-99, -10, -3, 4, 11, 99])):
        here = (longer >= low) & (longer < high)
        mine = found[found["bin"] == at]
        assert mine["n"].sum() == here.sum()
        assert mine["hits"].sum() == pytest.approx(right[here].sum())


def test_pairs_by_prompt_are_those_of_plain_python_for_either_score(pairs: Path):
    table = plain_pairs(pairs)
    right = (table["score_a"] > table["score_r"]) + 0.5 * (table["score_a"] == table["score_r"])
    longer = (table["n_tokens_a"] > table["n_tokens_r"]) + 0.5 * (
        table["n_tokens_a"] == table["n_tokens_r"]
    )
    found = pair_queries.right_by_prompt(pairs, "score", "n_tokens").to_pandas()
    assert found["prompt_type"].isna().all(), "an earlier run"
    found = found.set_index("prompt_id")
    assert len(found) == 30
    for name, hits in (("first", right), ("second", longer)):
        mine = hits.groupby(table["prompt_id"]).sum()
        assert found[f"hits_{name}"][mine.index].tolist() == pytest.approx(mine.tolist())
        assert set(found[f"n_{name}"]) == {36}


def test_types_of_prompts_are_told_and_prompts_without_pairs_have_none(pairs: Path):
    table = pq.read_table(pairs)
    kinds = [None if name == "p0" else "a" for name in table["prompt_id"].to_pylist()]
    scores = [None if one == "p1" else 0.5 for one in table["prompt_id"].to_pylist()]
    table = table.append_column("prompt_type", pa.array(kinds, pa.string()))
    table = table.append_column("reward", pa.array(scores, pa.float64()))
    pq.write_table(table, pairs)
    found = pair_queries.right_by_prompt(pairs, "score", "reward").to_pandas()
    found = found.set_index("prompt_id")
    assert found.loc["p0", "prompt_type"] is None or pd.isna(found.loc["p0", "prompt_type"])
    assert found.loc["p2", "prompt_type"] == "a"
    assert found.loc["p1", ["hits_second", "n_second"]].tolist() == [0, 0]
    assert found.loc["p2", ["hits_second", "n_second"]].tolist() == [18, 36], "ties are one half"


def test_cells_hold_every_answer_less_the_mean_of_its_prompt(pairs: Path):
    table = pq.read_table(pairs)
    true = np.random.default_rng(3).normal(size=table.num_rows)
    true[5] = np.nan
    pq.write_table(table.append_column("true_nats", [true]), pairs)
    found = truth_queries.truth_cells(pairs, "score", 7)
    assert found is not None
    kept = pq.read_table(pairs).to_pandas().drop(5)
    means = kept.groupby("prompt_id")[["true_nats", "score"]].transform("mean")
    x, y = (kept[name] - means[name] for name in ("true_nats", "score"))
    wanted, columns, rows = np.histogram2d(x, y, 7)
    assert found.x == pytest.approx(list(columns[:-1] + np.diff(columns) / 2))
    assert found.y == pytest.approx(list(rows[:-1] + np.diff(rows) / 2))
    assert np.abs(np.array(found.counts).T - wanted).sum() <= 4, "an edge may round"
    assert np.sum(found.counts) == table.num_rows - 1


def test_without_a_true_reward_or_a_score_there_are_no_cells(pairs: Path):
    assert truth_queries.truth_cells(pairs, "score", 7) is None
    table = pq.read_table(pairs)
    nothing = pa.nulls(table.num_rows, pa.float64())
    pq.write_table(table.append_column("true_nats", nothing), pairs)
    assert truth_queries.truth_cells(pairs, "score", 7) is None


def test_wrong_pairs_come_by_the_widest_margin(pairs: Path):
    table = plain_pairs(pairs)
    margins = (table["score_a"] - table["score_r"]).round(9)
    wrong = sorted(margins[margins < 0])
    found = pair_queries.wrong_pairs(pairs, "score", (0, 5))
    assert found["margin"].to_pylist() == pytest.approx(wrong[:5])
    assert set(found["pairs"].to_pylist()) == {len(wrong)}
    later = pair_queries.wrong_pairs(pairs, "score", (5, 5))
    assert later["margin"].to_pylist() == pytest.approx(wrong[5:10])
