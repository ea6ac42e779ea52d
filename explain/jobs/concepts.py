"""The job `irl concepts`: do directions of concepts go with what a pair was trained for?

1. Take answers of both policies from a finished run.
2. Read hidden states, and how the target changes with them (explain/concepts/states.py).
3. Score every concept beside random ones (explain/concepts/scores.py).
4. Write concepts.json and concepts.parquet.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from explain.aspect_files import read_aspects
from explain.concepts.declared import ConceptSet, of_aspects, read_concepts
from explain.concepts.scores import (
    Measuring,
    Said,
    Scored,
    can_fire,
    random_concepts,
    score_concepts,
)
from explain.concepts.states import Reading, read_log_ratio, read_score
from explain.jobs.explained import Explained, all_answers, pair_settings
from irl.config import ScoreSettings, Settings
from irl.errors import InputError
from irl.jobs.clock import Clock, peak_memory_bytes
from irl.policies.checkpoint import files_sha256
from irl.policies.pair import load_pair
from irl.policies.quiet import quiet_libraries
from irl.policies.reward_model import load_scorer
from irl.records import Caveat, ConceptLimits, ConceptsReport
from irl.rewards.head_reward import HeadReward
from irl.rewards.stored import load_reward
from irl.rewards.transformer import TokenIds
from irl.runs import RunFolder, file_sha256, find_run, now, open_run, read_record, versions

LOG_RATIO = "log-ratio"
CONCEPTS = "concepts.json"
SPREAD_LAYERS = 4


class ConceptSettings(Settings):
    """What `irl concepts` needs."""

    run: str
    "a finished audit or score run"
    concepts: str | None = None
    "concepts.yaml; None: every aspect of the stock set"
    allow_code: bool = False
    "run the Python functions that it names"
    target: str = LOG_RATIO
    "log-ratio, or the folder of a run that stored a transformer reward"
    layers: tuple[int, ...] = ()
    "numbers from 1 on; none: the middle one"
    spread: bool = False
    "instead: up to four layers, the last among them"
    prompts: int = Field(100, ge=1)
    answers: int = Field(8, ge=2)
    "of each policy to each prompt, at most"
    min_effect: float = Field(0.1, ge=0, le=0.5)
    nominal: float = Field(0.05, gt=0, lt=1)
    token_budget: int = Field(4096, ge=64)
    "tokens that go through the models at once"
    seed: int = Field(0, ge=0)

    def chosen(self, layers: int) -> tuple[int, ...]:
        """The layers to look at, of a model that has so many.

        Raises:
            InputError: it has no such layer.
        """
        if self.spread:
            steps = min(layers, SPREAD_LAYERS)
            return tuple(-(-layers * step // steps) for step in range(1, steps + 1))
        if odd := [layer for layer in self.layers if not 1 <= layer <= layers]:
            raise InputError(f"There is no layer {odd[0]}; the model has layers 1 to {layers}.")
        return tuple(dict.fromkeys(self.layers)) or ((layers + 1) // 2,)


@dataclass(frozen=True)
class ConceptsRun:
    """A finished measurement."""

    run: RunFolder
    report: ConceptsReport
    was_finished: bool


def concept_scores(
    run: str | Path, *, out: str | Path | None = None, fresh: bool = False, **settings: Any
) -> ConceptsReport:
    """Score concepts from a script; `settings` as in `ConceptSettings`.

    Raises:
        InputError: the concepts or a setting cannot be used.
        PolicyError: the pair of the run cannot be loaded, or shows no hidden states.
        RunError: the run is missing or unfinished, or the folder cannot be written.
    """
    resolved = ConceptSettings.checked({"run": str(run), **settings})
    return run_concepts(resolved, None if out is None else Path(out), fresh=fresh).report


def run_concepts(
    settings: ConceptSettings, out: Path | None = None, *, fresh: bool = False
) -> ConceptsRun:
    """Score concepts; a finished run is returned as it is."""
    quiet_libraries()
    clock = Clock()
    declared = declared_concepts(settings.concepts, allow_code=settings.allow_code)
    source = find_run(settings.run)
    about = pair_settings(source)
    inputs = {"run": file_sha256(source / "responses.parquet"), "concepts": declared.sha256}
    if settings.target != LOG_RATIO:
        inputs["target"] = files_sha256(_reward_model(Path(settings.target))[0])
    run = open_run("concepts", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return ConceptsRun(run, read_record(run.path / CONCEPTS, ConceptsReport), was_finished=True)
    with clock.stage("loading"):
        reading = _reading(settings, about)
    report = concept_answers(run, settings, declared, reading, about, clock)
    run.finish({"answers": report.n_answers, "concepts": len(declared.concepts)})
    return ConceptsRun(run, report, was_finished=False)


def declared_concepts(file: str | None, *, allow_code: bool) -> ConceptSet:
    """The concepts of a file, or every aspect of the stock set."""
    stock = read_aspects()
    if file is None:
        return ConceptSet(of_aspects(stock.aspects), stock.sha256)
    return read_concepts(Path(file), stock.aspects, allow_code=allow_code)


def concept_answers(
    run: RunFolder,
    settings: ConceptSettings,
    declared: ConceptSet,
    reading: Reading,
    about: ScoreSettings,
    clock: Clock,
) -> ConceptsReport:
    """Score concepts on answers of the run that the settings name; concepts.json comes last.

    Args:
        run: where concepts.parquet and concepts.json go.
        settings: how they are scored.
        declared: the concepts.
        reading: the target, and the models that it is read off.
        about: how the run read its pair.
        clock: of the stages.

    Raises:
        InputError: there is no such layer, or an answer or example cannot be read.
        RunError: the answers cannot be read.
    """
    layers = settings.chosen(reading.layers)
    limits = ConceptLimits(min_effect=settings.min_effect, nominal=settings.nominal)
    asked = (settings.prompts, settings.answers, settings.seed, about.prompts)
    answers = all_answers(find_run(settings.run), *asked)
    aligned = np.array([source == "aligned" for source in answers.source])
    said = Said(answers.exchanges, answers.prompt, aligned)
    with clock.stage("concepts"):
        found = score_concepts(
            declared.concepts, said, reading, Measuring(layers, limits, settings.seed)
        )
    report = ConceptsReport(
        schema="irl.concepts/1",
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        settings=settings.model_dump(mode="json"),
        target=reading.name,
        unit=reading.unit,
        n_prompts=int(answers.prompt.max()) + 1,
        n_answers=len(answers.exchanges),
        layers=list(layers),
        of_layers=reading.layers,
        random_concepts=random_concepts(len(found.rows), settings.nominal),
        limits=limits,
        concepts=found.rows,
        caveats=_caveats(settings, any_can_fire=can_fire(found.rows, limits)),
        timings_seconds=dict(clock.seconds),
        peak_memory_bytes=peak_memory_bytes(),
    )
    run.write_table("concepts.parquet", _table(answers, found))
    run.write_text(CONCEPTS, report.to_json())
    return report


def _reading(settings: ConceptSettings, about: ScoreSettings) -> Reading:
    """The target, with the models that it is read off."""
    if settings.target == LOG_RATIO:
        pair = load_pair(about.aligned, about.reference, about.loading)
        return read_log_ratio(pair, about.chat, settings.token_budget)
    folder, chat = _reward_model(Path(settings.target))
    model = load_scorer(str(folder), about.loading, scored=True)
    return read_score(model, chat, settings.token_budget)


def _reward_model(run: Path) -> tuple[Path, str]:
    """Where the chosen member of a run's reward lies, and how it reads prompts."""
    folder = run / "reward" if (run / "reward").is_dir() else run
    reward = load_reward(folder)
    if not isinstance(reward, HeadReward) or not isinstance(reward.features, TokenIds):
        raise InputError(
            f"The reward in {folder} is no model whose hidden states could be moved; concepts need "
            "the target log-ratio, or a reward of `irl recover --set form=transformer`."
        )
    return folder / f"head-{reward.chosen}", reward.features.chat


def _table(answers: Explained, found: Scored) -> pa.Table:
    """concepts.parquet: one row per answer, concept and layer."""
    rows = [
        {
            "response_id": response_id,
            "source": source,
            "concept": name,
            "layer": layer,
            "coordinate": coordinate,
            "target": target,
        }
        for (layer, name), place in found.places.items()
        for response_id, source, coordinate, target in zip(
            answers.response_ids, answers.source, place, found.values, strict=True
        )
    ]
    return pa.Table.from_pylist(rows, schema=TABLE)


TABLE = pa.schema(
    [(name, pa.string()) for name in ("response_id", "source", "concept")]
    + [("layer", pa.int64()), ("coordinate", pa.float64()), ("target", pa.float64())],
    metadata={"schema": "irl.concept-coordinates/1"},
)


def _caveats(settings: ConceptSettings, *, any_can_fire: bool) -> list[Caveat]:
    found = {
        "goes-with-is-not-paid": "A concept that fires goes with the target in the answers that "
        "were given. Another one that goes along with it may be what is paid: `nearest` names the "
        "closest of those that were asked for, `held_fixed` is the slope without them.",
        "states-of-these-models": "A direction is one of these models' hidden states at one layer. "
        "A concept that is not there may be held in another layer, or not as a direction.",
        "some-answers": f"{settings.prompts} prompts at most were drawn at random, and "
        f"{settings.answers} answers of each policy to each at most; intervals are over prompts, "
        "with directions taken as given.",
    }
    if settings.target == LOG_RATIO:
        found["tcav-sees-reading"] = (
            "TCAV moves what has been read. Of a log-ratio it tells how the words behind a concept "
            "become likelier, not what saying the concept is worth, and its mean over a policy's "
            "own answers is nought but for the other policy's part; so it decides nothing here."
        )
    if not any_can_fire:
        found["too-few-prompts-to-fire"] = (
            "Too few prompts to fire: with so many concepts and layers no p of sign flips of these "
            "prompts, corrected for all of them, can be at most nominal. That none fires says "
            "nothing; ask for fewer concepts or layers, or give more prompts."
        )
    return [Caveat(code=code, text=text) for code, text in found.items()]
