"""`irl ensemble`: what it learns, what it says of its members, and how it says no."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from irl.data import read_preferences
from irl.ensembles.pairs import Pairs, pairs_of
from irl.errors import InputError
from irl.evaluation.abstention import abstention
from irl.evaluation.calibration import label_odds
from irl.evaluation.pair_figures import brier, disagreement, figures, reliability
from irl.jobs.ensemble import LABELS, EnsembleRun, fit_ensemble, fit_members, rewarded
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.rewards.stored import load_reward
from tests import fakes

WORDS = ["the", "cat", "dog", "sat", "mat", "house", "day", "rain", "sun", "tree", "book", "lamp"]
SMALL = {"seeds": (0, 1, 2), "epochs": 40, "learning_rate": 0.02}


def write(folder: Path, n: int = 120, name: str = "pairs.jsonl") -> str:
    """Pairs in which `lovely` wins over `stupid`, four to a prompt."""
    generator = np.random.default_rng(0)
    lines = []
    for at in range(n):
        one, other = (" ".join(generator.choice(WORDS, 5)) for _ in range(2))
        row = {"prompt": f"say {at // 4}", "chosen": f"{one} lovely", "rejected": f"{other} stupid"}
        lines.append(json.dumps(row))
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> EnsembleRun:
    folder = tmp_path_factory.mktemp("ensemble")
    given = {"preferences": write(folder), "form": "linear", "learning": SMALL}
    return fit_ensemble(out=folder / "run", confidences=(), **given)


def test_members_learn_what_is_preferred_on_prompts_they_never_saw(fitted: EnsembleRun):
    report = fitted.report
    rows = {row.scorer: row for row in report.figures}
    assert set(rows) == {"members", "mean", "median", "min", "uwo (lambda 0.5)", "quantile (0.25)"}
    for row in rows.values():
        assert row.accuracy is not None
        assert row.accuracy.value > 0.85
        assert row.accuracy.low < row.accuracy.value
    assert report.held_out_prompts == 8
    assert report.training_pairs + report.held_out_pairs == 120
    assert {caveat.code for caveat in report.caveats} == {"few-pairs"}


def test_the_stored_reward_is_the_ensemble(fitted: EnsembleRun):
    reward = load_reward(fitted.run.path / "reward")
    texts = ["a lovely cat", "a stupid cat"]
    assert torch.equal(reward(texts), fitted.ensemble(texts))
    assert float(reward(texts)[0]) > float(reward(texts)[1])


def test_a_finished_run_is_given_back(fitted: EnsembleRun):
    settings = EnsembleSettings.checked(fitted.run.settings)
    again = fit_ensemble(settings, fitted.run.path)
    assert again.was_finished
    assert again.report == fitted.report


def preferences(folder: Path, *rows: dict[str, object]) -> Pairs:
    file = folder / "odd.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return pairs_of(read_preferences(file).rows)


def test_what_is_odd_is_counted(tmp_path: Path):
    found = preferences(
        tmp_path,
        {"prompt": "a", "chosen": "x", "rejected": "y"},
        {"prompt": "a", "chosen": "y", "rejected": "x"},
        {"prompt": "b", "chosen": "x", "rejected": ""},
        {"prompt": "c", "chosen": "x", "rejected": "x"},
    )
    assert len(found) == 3
    assert found.odd == {"ties": 0, "equal_texts": 0, "empty_responses": 1, "contradictory": 2}


def test_single_labels_become_pairs_and_ties_are_counted(tmp_path: Path):
    rows = [("a", "x", 1), ("a", "y", 0), ("a", "z", 0), ("b", "x", 1), ("b", "y", 1)]
    found = preferences(
        tmp_path, *({"prompt": p, "completion": c, "label": bool(v)} for p, c, v in rows)
    )
    assert len(found) == 1
    assert found.chosen == ["x"]
    assert found.odd["ties"] == 1


def test_one_class_states_no_preference(tmp_path: Path):
    with pytest.raises(InputError, match=r"All 2 labels are 1: one class states no preference"):
        preferences(tmp_path, *({"text": one, "label": 1} for one in ("x", "y")))
    with pytest.raises(InputError, match="No prompt has two responses with different labels"):
        preferences(
            tmp_path,
            {"prompt": "a", "completion": "x", "label": 1},
            {"prompt": "b", "completion": "y", "label": 0},
        )


def test_missing_columns_are_named(tmp_path: Path):
    file = tmp_path / "columns.jsonl"
    file.write_text('{"prompt": "a", "better": "x"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="has the columns prompt, better; expected"):
        fit_ensemble(preferences=str(file), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "either --preferences or --run"),
        ({"preferences": "p", "features": "embeddings"}, "need --base"),
        ({"preferences": "p", "base": "b"}, "words need no --base"),
        ({"preferences": "p", "form": "transformer", "base": "b", "loss": "absolute"}, "only"),
        ({"preferences": "p", "confidences": (1.0,)}, "less than 1"),
        ({"preferences": "p", "hidden": (0,)}, "greater than or equal to 1"),
        ({"preferences": "p", "learning": {"seeds": (1, 1)}}, "the same member"),
        ({"preferences": "p", "form": "tree"}, "one of linear, mlp, boosted, transformer"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, str], sentence: str):
    with pytest.raises(InputError, match=sentence):
        EnsembleSettings.checked(given)


def test_pairs_whose_embeddings_are_not_finite_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from irl.rewards.embeddings import Embeddings

    def raw(_: Embeddings, texts: list[str], _prompts: object) -> torch.Tensor:
        rows = torch.randn(len(texts), 4, generator=torch.Generator().manual_seed(0))
        rows[:, 0] = torch.tensor([float("lovely" in text) for text in texts])
        rows[3, 1] = torch.nan
        return rows

    monkeypatch.setattr(Embeddings, "_raw", raw)
    base = str(fakes.save(fakes.model(), tmp_path / "base"))
    settings = EnsembleSettings.checked(
        {
            **{"preferences": write(tmp_path), "form": "linear", "features": "embeddings"},
            **{"base": base, "learning": SMALL},
        }
    )
    pairs = pairs_of(read_preferences(str(settings.preferences)).rows)
    reward, left_out = fit_members(pairs, np.ones(len(pairs), dtype=bool), settings)
    assert left_out == 1
    assert all(weight.isfinite().all() for weight in reward.head.parameters())


def test_a_run_prefers_by_the_reward_that_it_recovered(tmp_path: Path):
    from irl.data.prompts import prompt_id

    name = prompt_id("hi")
    table = {
        **{"prompt_id": [name] * 4, "prompt": ["hi"] * 4},
        **{"response": ["a", "b", "c", "d"], "reward_nats": [0.5, -1.0, 2.0, 0.0]},
        "log_ratio_nats": [-2.0, 3.0, 1.0, 0.0],
    }
    pq.write_table(pa.table(table), tmp_path / "responses.parquet")
    pairs = pairs_of(rewarded(tmp_path / "responses.parquet"))
    assert set(zip(pairs.chosen, pairs.rejected, strict=True)) == {("c", "b"), ("a", "d")}
    by_ratio = pairs_of(rewarded(tmp_path / "responses.parquet", LABELS["log-ratio"]))
    assert set(zip(by_ratio.chosen, by_ratio.rejected, strict=True)) == {("b", "a"), ("c", "d")}


def test_only_answers_of_a_run_have_log_ratios(tmp_path: Path):
    with pytest.raises(InputError, match="give --run"):
        fit_ensemble(preferences=write(tmp_path), label="log-ratio", out=tmp_path / "run")


def test_figures_by_hand():
    margins = np.array([1.0, 2.0, -1.0, 0.0])
    found = figures("mean", margins, np.arange(4))
    assert found.accuracy is not None
    assert found.accuracy.value == 2.5 / 4
    assert found.ties == 1
    assert brier(np.array([0.0]))[0] == 0.25
    (row,) = reliability(np.array([np.log(3), np.log(3), -np.log(3), 0.0]), bins=1)
    assert row.probability == pytest.approx((3 * 0.75 + 0.5) / 4)
    assert row.share_right == pytest.approx(2.5 / 4)


def test_disagreement_that_marks_the_errors_finds_them():
    members = np.array([[1.0, 1.0, 5.0, -3.0], [1.0, 1.2, -7.0, 1.0]])
    found = disagreement(members, members.mean(0), np.arange(4))
    assert found.auc_of_errors is not None
    assert found.auc_of_errors.value == 1
    assert disagreement(members[:1], members[0], np.arange(4)).mean_sd is None


@pytest.mark.slow
def test_conformal_sets_cover_as_they_say_and_are_those_of_the_quantile():
    """MAPIE against ten lines: the (n + 1) c / n quantile of 1 - p on the other half."""
    pytest.importorskip("mapie")
    generator = np.random.default_rng(0)
    truth = generator.normal(0, 2, 4000)
    margins = np.where(generator.random(4000) < 1 / (1 + np.exp(-truth)), truth, -truth)
    cluster = np.arange(4000)
    (found,) = abstention(margins, cluster, [0.8])
    assert found.covered is not None
    assert found.answered is not None
    assert found.covered.low < 0.8 < found.covered.high + 0.02
    odds = label_odds(margins, cluster)
    assert odds is not None
    p = 1 / (1 + np.exp(-odds))
    answered = []
    for half in (0, 1):
        scores = np.sort(1 - p[cluster % 2 != half])
        limit = scores[int(np.ceil((len(scores) + 1) * 0.8)) - 1]
        here = p[cluster % 2 == half]
        answered.append(((1 - here <= limit).astype(int) + (here <= limit)) == 1)
    assert found.answered.value == pytest.approx(np.concatenate(answered).mean(), abs=1e-3)


def test_confidences_that_so_few_pairs_do_not_settle_are_left_out():
    pytest.importorskip("mapie")
    margins = np.random.default_rng(0).normal(1, 1, 120)
    found = abstention(margins, np.arange(120), [0.9, 0.99])
    assert [row.confidence for row in found] == [0.9]
    assert abstention(margins, np.arange(120), []) == []


@pytest.mark.slow
@pytest.mark.parametrize("pad", ["its own", "eos", None])
def test_transformers_are_trained_by_the_trainer_and_scored_on_what_they_were_trained_on(
    pad: str | None, tmp_path: Path
):
    base = fakes.save(fakes.model("llama"), tmp_path / "base")
    if pad != "its own":
        tokenizer = fakes.tokenizer()
        tokenizer.pad_token = tokenizer.eos_token if pad else None
        tokenizer.save_pretrained(base)
    given = {
        **{"preferences": write(tmp_path, 160), "form": "transformer", "base": str(base)},
        **{"confidences": ()},
    }
    learning = {"seeds": (0, 1), "epochs": 3, "learning_rate": 3e-3}
    done = fit_ensemble(out=tmp_path / "run", learning=learning, **given)
    (members, *_) = done.report.figures
    assert members.accuracy is not None
    assert members.accuracy.value > 0.9
    again = load_reward(tmp_path / "run" / "reward")
    texts, prompts = ["the cat lovely", "the cat stupid"], ["say 1", "say 1"]
    torch.testing.assert_close(again(texts, prompts), done.ensemble(texts, prompts))


def test_answers_compared_in_one_row_are_never_held_out_from_each_other(tmp_path: Path):
    """Rows without a prompt: all couples of a row share texts, so they are one cluster."""
    rows = [{"chosen": [f"x{n}"], "rejected": [f"y{n}", f"z{n}"]} for n in range(5)]
    found = preferences(tmp_path, *rows)
    assert len(found) == 10
    for n in range(5):
        assert len({found.cluster[at] for at in range(10) if found.chosen[at] == f"x{n}"}) == 1
    assert len(set(found.cluster)) == 5
