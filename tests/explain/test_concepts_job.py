"""The job `irl concepts`, on tiny models."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from explain.concepts.told import concepts_summary
from explain.jobs.concepts import ConceptSettings, concept_scores
from irl.config import Loading, ScoreSettings
from irl.errors import InputError, RunError
from irl.jobs.scoring import score
from irl.policies.reward_model import load_scorer
from irl.records import ConceptsReport
from irl.rewards.head_reward import HeadReward
from irl.rewards.terms import TermReward
from irl.rewards.transformer import TokenIds, transformer
from tests import fakes
from tests.test_command_line import assert_refused, irl

CONCEPTS = """
- {name: length, kind: aspect}
- {name: t, kind: regex, pattern: t}
- {name: unheard, kind: lexicon, terms: [xyzzy]}
- name: cats
  kind: examples
  positives: [a cat, two cats, the cat sat, my cat, cats, old cat, no cats, cat cat]
  negatives: [a dog, two dogs, the dog sat, my dog, dogs, old dog, no dogs, dog dog]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("concepts")
    aligned, reference = fakes.save_pair(folder)
    rows = [json.dumps({"prompt": f"please tell me {number}"}) for number in range(12)]
    (folder / "prompts.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "concepts.yaml").write_text(CONCEPTS)
    settings = ScoreSettings(
        aligned=str(aligned),
        reference=str(reference),
        prompts=str(folder / "prompts.jsonl"),
        sampling={"responses_per_prompt": 6, "max_new_tokens": 8},
    )
    return score(settings, folder / "run").path


@pytest.fixture(scope="module")
def scored(run: Path) -> tuple[Path, ConceptsReport]:
    out = run.parent / "scored"
    return out, concept_scores(run, out=out, concepts=str(run.parent / "concepts.yaml"))


@pytest.mark.slow
def test_every_concept_has_a_score_with_its_controls_or_a_reason(
    scored: tuple[Path, ConceptsReport],
) -> None:
    out, report = scored
    assert report.schema_ == "irl.concepts/1"
    assert (report.layers, report.of_layers, report.target) == ([1], 2, "log-ratio")
    assert [row.name for row in report.concepts] == ["length", "t", "unheard", "cats"]
    _, _, unheard, cats = report.concepts
    assert (unheard.positives, unheard.prompts) == (0, 0)
    assert "fewer than 8" in (unheard.reason or "")
    assert (cats.positives, cats.negatives, cats.prompts) == (8, 8, 8)
    for row in report.concepts:
        measured = [row.score, row.score_random, row.p_value, row.p_corrected, row.tcav, row.slope]
        assert all(one is not None for one in measured) == (row.reason is None)
    assert cats.score is not None
    rows = pq.read_table(out / "concepts.parquet").to_pylist()
    own = [row for row in rows if row["concept"] == "cats"]
    assert len(own) == report.n_answers == 12 * 2 * 6
    told = concepts_summary(report)
    assert "random concepts" in told
    assert told.count("Caveat") == len(report.caveats)


@pytest.mark.slow
def test_the_command_returns_a_finished_run_and_shows_it(
    run: Path, scored: tuple[Path, ConceptsReport]
) -> None:
    out, report = scored
    named = ("concepts", "--run", run, "--concepts", run.parent / "concepts.yaml", "--out", out)
    again = irl(*named, "--json")
    assert "is finished" in again.err
    assert json.loads(again.out) == json.loads(report.to_json())
    fresh = irl(*named, "--fresh")
    assert (fresh.code, "concepts.parquet" in fresh.out) == (0, True)
    assert concept_scores(run, **_settings(run), out=out).concepts == report.concepts
    assert "held against 999 random concepts" in irl("runs", "show", out).out


def _settings(run: Path) -> dict[str, str]:
    return {"concepts": str(run.parent / "concepts.yaml")}


@pytest.mark.slow
def test_a_stored_reward_model_is_a_target_and_a_reward_of_words_is_none(
    run: Path, tmp_path: Path
) -> None:
    scorer = load_scorer(str(fakes.save(fakes.model(), tmp_path / "base")), Loading())
    with_score = transformer(scorer)(1, 1, torch.Generator())
    HeadReward(TokenIds(scorer), with_score).save(tmp_path / "r" / "reward", "head")
    report = concept_scores(
        run, out=tmp_path / "out", target=str(tmp_path / "r"), layers=(2,), **_settings(run)
    )
    assert report.unit == "units of the reward"
    reasons = [row.reason or "" for row in report.concepts if row.prompts >= 8]
    assert all("the same for all answers" in one or "not there" in one for one in reasons)
    assert [caveat for caveat in report.caveats if caveat.code == "tcav-sees-reading"] == []
    TermReward(("the",), (1.0,)).save(tmp_path / "w" / "reward", "terms")
    with pytest.raises(InputError, match="form=transformer"):
        concept_scores(run, out=tmp_path / "x", target=str(tmp_path / "w"))


def test_layers_are_in_the_middle_spread_out_or_as_asked() -> None:
    by = ConceptSettings(run="r")
    assert [by.chosen(layers) for layers in (1, 2, 4, 7)] == [(1,), (1,), (2,), (4,)]
    spread = ConceptSettings(run="r", spread=True)
    assert [spread.chosen(n) for n in (1, 2, 4, 30)] == [
        (1,),
        (1, 2),
        (1, 2, 3, 4),
        (8, 15, 23, 30),
    ]
    assert ConceptSettings(run="r", layers=(2, 1, 2)).chosen(2) == (2, 1)
    with pytest.raises(InputError, match="layers 1 to 2"):
        ConceptSettings(run="r", layers=(3,)).chosen(2)


@pytest.mark.slow
def test_what_cannot_be_done_is_said_in_a_sentence(run: Path, tmp_path: Path) -> None:
    assert_refused(irl("concepts", "--run", run, "--layer", 9, "--out", tmp_path / "a"), "layer 9")
    assert_refused(irl("concepts", "--run", run, "--concepts", "none.yaml"), "none.yaml", "YAML")
    assert_refused(irl("concepts", "--run", run, "--target", "nowhere"), "no reward in nowhere")
    assert_refused(irl("concepts", "--run", run, "--layer", "two"), "--layer")
    long = tmp_path / "long.yaml"
    texts = [f"{'the cat ' * 40}{number}" for number in range(8)]
    long.write_text(json.dumps([{"name": "long", "kind": "examples", "positives": texts}]))
    refused = irl("concepts", "--run", run, "--concepts", long, "--out", tmp_path / "b")
    assert_refused(refused, "tokens long", "shorten it")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.yaml", "manifest.json"):
        (bare / name).write_bytes((run / name).read_bytes())
    for command in ("concepts", "attribute"):
        assert_refused(irl(command, "--run", bare), "kept no answers")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.yaml").write_text("settings: {}\n")
    with pytest.raises(RunError, match="not finished"):
        concept_scores(tmp_path / "unfinished", out=tmp_path / "c")
