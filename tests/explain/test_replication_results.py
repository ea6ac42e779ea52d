"""The replication: labels are read as they stand, and the truth itself is the whole teacher."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explain.jobs.label_sets import Labelled, LabelSet, read_label_set
from explain.jobs.replication_results import (
    ReplicationRecipe,
    Scored,
    _at_equal_length,
    _figures,
    _pair_accuracy,
    _teacher_share,
    replication_rows,
)
from explain.jobs.result_rows import Making
from irl.data.bundled import BUNDLED_PAIR
from irl.errors import InputError

PAIRS = LabelSet(case="pairs", file="pairs.parquet", where={"split": ["test"]})
CLASSES = LabelSet(
    case="tweets",
    file="tweets.parquet",
    label="label",
    civil=["neither"],
    votes=["hate", "offensive"],
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    pairs = [
        {"chosen": f"it is fine {n}", "rejected": f"don't be stupid {n} !", "split": split}
        for n in range(12)
        for split in ("test", "train")
    ]
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "pairs.parquet")
    tweets = [
        {"text": "a", "label": "neither", "hate": 0, "offensive": 1, "count": 3},
        {"text": "b", "label": "hate", "hate": 3, "offensive": 0, "count": 3},
    ]
    pq.write_table(pa.Table.from_pylist(tweets), tmp_path / "tweets.parquet")
    return tmp_path


def test_pairs_and_votes_are_read_as_labels(text: Path):
    pairs = read_label_set(PAIRS, text)
    assert pairs.texts[:2] == ["it is fine 0", "dont be stupid 0!"]
    assert pairs.civil.tolist() == [True, False] * 12
    assert pairs.pair.tolist() == np.repeat(np.arange(12), 2).tolist()
    tweets = read_label_set(CLASSES, text)
    assert tweets.civil.tolist() == [True, False]
    assert tweets.grade.tolist() == pytest.approx([2 / 3, 0.0])
    few = read_label_set(PAIRS.model_copy(update={"most": 5}), text)
    assert len(few.texts) == 10
    with pytest.raises(InputError, match=r"gone\.parquet"):
        read_label_set(PAIRS.model_copy(update={"file": "gone.parquet"}), text)


def given(n: int = 400) -> Scored:
    rng = np.random.default_rng(0)
    civil = np.arange(n) % 2 == 0
    true = civil + rng.normal(size=n)
    labelled = Labelled("set", [""] * n, civil, civil.astype(float), np.arange(n) // 2)
    return Scored(labelled, true, true + 2 * rng.normal(size=n))


def test_the_truth_is_the_whole_teacher_and_a_constant_knows_nothing():
    scored = given()
    assert _teacher_share(scored.true, scored) == 1.0
    assert _teacher_share(7 * scored.true + 3, scored) == 1.0
    assert _teacher_share(-scored.true, scored) == pytest.approx(-1.0)
    assert 0.1 < _teacher_share(scored.direct, scored) < 0.9
    constant = _figures(np.zeros(400), scored)
    assert constant["AUC"] == 0.5
    assert constant["Pearson with the true reward"] == 0.0
    assert _figures(scored.true, scored)["Spearman with the true reward"] == pytest.approx(1.0)


def test_pairs_are_compared_with_their_own_other_side():
    scored = given(40)
    order = np.random.default_rng(1).permutation(40)
    labelled = scored.labelled
    mixed = Labelled(
        "set",
        labelled.texts,
        labelled.civil[order],
        labelled.grade[order],
        labelled.pair[order],
    )
    one = _pair_accuracy(scored.true, labelled)
    other = _pair_accuracy(scored.true[order], mixed)
    assert one is not None
    assert one == other
    wins = scored.true[::2] > scored.true[1::2]
    assert one.value == pytest.approx(wins.mean())
    alone = Labelled("set", labelled.texts, labelled.civil, labelled.grade, np.arange(40))
    assert _pair_accuracy(scored.true, alone) is None


def test_at_equal_length_a_price_of_every_word_does_not_count():
    texts = ["a", "a b", "a b c", "a b c d"]
    scores = np.array([0.3, -1.0, 2.0, 0.5])
    level = _at_equal_length(scores, texts)
    drifted = scores - 0.7 * (np.arange(4) - 1.5)
    np.testing.assert_allclose(_at_equal_length(drifted, texts), level, atol=1e-12)
    assert abs(level @ np.arange(4) - level.sum() * 1.5) < 1e-12
    np.testing.assert_array_equal(_at_equal_length(scores, ["a b"] * 4), scores)


def recipe(**changes: object) -> ReplicationRecipe:
    return ReplicationRecipe.model_validate(
        {
            "kind": "replication",
            "pairs": {"bundled": str(BUNDLED_PAIR)},
            "groups": 24,
            "per_group": 3,
            "seed": 0,
            "fitting": {"min_responses": 3},
            "learning": {"seeds": [0, 1], "penalties": [1e-3], "epochs": 2},
            "labels": [PAIRS.model_dump()],
            "headline": "pairs",
            "published": {"accuracy": 0.8},
            **changes,
        }
    )


@pytest.mark.slow
def test_every_method_is_held_against_the_labels_and_the_second_time_nothing_is_drawn(
    text: Path, tmp_path: Path
):
    making = Making(tmp_path / "runs", text, lambda *_: None, lambda _: None)
    rows = replication_rows(recipe(), making)
    direct = {r.metric: r.estimate for r in rows if r.method == "log-ratio, direct" and r.estimate}
    assert direct["pair accuracy"].value > 0.9, "the bundled pair was taught to be civil"
    assert direct["share of the teacher"].value > 0.5
    methods = {row.method for row in rows if row.metric == "AUC, mean of seeds"}
    assert {"log-ratio", "bradley-terry", "reference-free"} <= methods
    assert rows[-1].method == "published"
    written = {file: file.stat().st_mtime_ns for file in making.folder.glob("*.json")}
    assert len(written) == 3
    assert replication_rows(recipe(), making) == rows
    assert all(file.stat().st_mtime_ns == before for file, before in written.items())
    limits = {row.method[:1]: row.estimate for row in rows if row.method[:2] in ("1 ", "2 ", "3 ")}
    assert set(limits) == {"1", "2", "3"}
    assert all(found is not None and found.value <= 1.02 for found in limits.values())


def test_what_is_missing_is_named(text: Path, tmp_path: Path):
    making = Making(tmp_path, None, lambda *_: None, lambda _: None)
    with pytest.raises(InputError, match="--text DIR"):
        replication_rows(recipe(), making)
    making = Making(tmp_path, text, lambda *_: None, lambda _: None)
    with pytest.raises(InputError, match="irl organisms build nowhere"):
        replication_rows(recipe(pairs={"x": f"{tmp_path}/nowhere"}), making)
