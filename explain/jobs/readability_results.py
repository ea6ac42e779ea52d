"""Rows about readability: how often is a log-ratio read further than its training allows?

Every build is given the training that its owner would name (RLOO for one without the KL term: the
switch is forgotten, or not known), and the answers that its audit drew say the rest. Expected is

- trained with KL, or by DPO: reward or order
- trained without KL, or fine-tuned without any objective: direction or unreadable

The thresholds were chosen on some builds alone; the others count apart. Signs that a threshold was
sought for in vain stand beside: KL per token, and how far a reward learnt from samples alone ranks
answers as the log-ratio does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow.parquet as pq
import torch
from pydantic import BaseModel, ConfigDict

from explain.jobs.methods_results import audited_answers
from explain.jobs.result_rows import Making, Measured, built_pair, finished_run
from explain.organism_scores import exact_share
from irl.bootstrap import codes, from_sums, rank_correlation, ratio
from irl.config import Deciding, Fitting, Learning, TrainedWith
from irl.data import read_prompts
from irl.evaluation.objectives import Search, find_objectives
from irl.evaluation.readability import Readability, Reading, readability
from irl.evaluation.signs import Signs, Spoken, signs_of
from irl.jobs.organisms import bed_folder
from irl.organisms.bed import Bed
from irl.organisms.planted import Plant, plants
from irl.organisms.token_training import by_dpo, without_kl
from irl.organisms.token_world import BETA, draw, response_texts
from irl.records import AuditReport, Estimate, ResultRow
from irl.recovery.bradley_terry import by_pairs
from irl.recovery.catalogue import frequent_words
from irl.recovery.log_ratio import fit_terms
from irl.rewards.conditions import TypedPrompt
from irl.rewards.heads import linear
from irl.rewards.terms import TermReward
from irl.runs import read_record
from irl.token_mdp import Levels, TokenMDP, along, solve
from irl.within import centred

Family = Literal["with KL", "DPO", "without KL", "no objective"]
FURTHER: dict[Family, bool] = {
    "with KL": True,
    "DPO": True,
    "without KL": False,
    "no objective": False,
}
"Whether an order can be read at least"
LEVELS: tuple[Readability, ...] = get_args(Readability)


class ReadabilityRecipe(BaseModel):
    """Which builds the thresholds were chosen on, and which they were not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["readability"]
    organisms: str
    "the table whose audits drew the answers"
    nulls: str
    calibrated_on: tuple[int, ...]
    "worlds"
    held_out: tuple[int, ...]
    tunings: tuple[str, ...]
    "plain fine-tunes, beside the organisms"
    tuned_in: tuple[int, ...]
    real_calibrated_on: tuple[str, ...] = ()
    "folders of pairs on real text"
    real_held_out: tuple[str, ...] = ()
    token_calibrated_on: tuple[int, ...]
    token_held_out: tuple[int, ...]
    token_prompts: int
    token_answers: int
    "of either policy to each prompt"
    ascents: tuple[int, ...]
    "gradient steps of the token policies without KL"
    learning: dict[str, object] = {}
    "of the reward from samples"


@dataclass(frozen=True)
class Known:
    """What is known of one pair beforehand."""

    kind: Literal["organisms and fine-tunes", "token worlds", "pairs on real text"]
    name: str
    seed: int
    family: Family
    calibrated: bool
    "whether the thresholds were chosen on it"

    @property
    def trained_with(self) -> TrainedWith:
        """What its owner would name."""
        return "dpo" if self.family == "DPO" else "rloo"


@dataclass(frozen=True)
class Build:
    """One pair, and what is found in its answers."""

    known: Known
    spoken: Spoken
    found: bool
    signs: Signs
    sampled: Estimate | None = None
    "agreement with a reward from samples"

    @property
    def reading(self) -> Reading:
        """The verdict."""
        return readability(self.known.trained_with, found=self.found, signs=self.signs)[0]

    @property
    def right(self) -> bool:
        """Read as far as its training allows, and no further."""
        return (self.reading.readability in ("reward", "order")) == FURTHER[self.known.family]


def readability_rows(recipe: ReadabilityRecipe, making: Making) -> list[ResultRow]:
    """The rows that sum up first, then every build.

    Raises:
        InputError: an audit of another table is missing.
    """
    makers = (_organisms, _tuned, _real, _token_builds)
    builds = [build for maker in makers for build in maker(recipe, making)]
    return [*_summed(builds), *(row for build in builds for row in _rows(build))]


def _organisms(recipe: ReadabilityRecipe, making: Making) -> Iterator[Build]:
    for seed in (*recipe.calibrated_on, *recipe.held_out):
        for plant in plants(Bed(bed_folder(seed), seed, making.say).world).values():
            run = making.folder.parent / f"results-{recipe.organisms}" / f"seed-{seed}-{plant.name}"
            calibrated = seed in recipe.calibrated_on
            making.say(f"world {seed}: {plant.name}")
            family = _family(plant)
            known = Known("organisms and fine-tunes", plant.name, seed, family, calibrated)
            yield _audited(run, recipe, known)


def _tuned(recipe: ReadabilityRecipe, making: Making) -> Iterator[Build]:
    for seed in recipe.tuned_in:
        for name in recipe.tunings:
            run = making.folder.parent / f"results-{recipe.nulls}" / f"seed-{seed}-{name}"
            calibrated = seed in recipe.calibrated_on
            known = Known("organisms and fine-tunes", name, seed, "no objective", calibrated)
            yield _audited(run, recipe, known)


def _real(recipe: ReadabilityRecipe, making: Making) -> Iterator[Build]:
    for folder in (*recipe.real_calibrated_on, *recipe.real_held_out):
        name = built_pair(folder).name
        making.say(name)
        sides = {side: f"{folder}/{side}" for side in ("aligned", "reference")}
        making.audit(name, **sides, prompts=f"{folder}/prompts.jsonl", trained_with="rloo")
        calibrated = folder in recipe.real_calibrated_on
        known = Known("pairs on real text", name, 0, "with KL", calibrated)
        yield _audited(making.folder / name, recipe, known)


def _family(plant: Plant) -> Family:
    if not plant.planted:
        return "no objective"
    if plant.method == "dpo":
        return "DPO"
    return "with KL" if plant.kl else "without KL"


def _audited(run: Path, recipe: ReadabilityRecipe, known: Known) -> Build:
    finished_run(run, recipe.organisms, recipe.nulls)
    report = read_record(run / "report.json", AuditReport)
    spoken = spoken_in(run, report)
    reward = TermReward.load(run / "reward", "terms")
    found = bool(report.verdict.objective_found)
    signs = signs_of(spoken, report.objectives if found else [], reward)
    sampled = _from_samples(run, recipe) if found else None
    return Build(known, spoken, found, signs, sampled)


def spoken_in(run: Path, report: AuditReport) -> Spoken:
    """The answers of a finished audit."""
    table = pq.read_table(run / "responses.parquet").to_pydict()
    asked = {
        row.prompt_id: TypedPrompt.of(row.prompt, row.prompt_type)
        for row in read_prompts(str(report.settings["prompts"])).rows
    }
    aligned = np.array([source == "aligned" for source in table["source"]])
    ours, theirs = np.array(table["aligned_nats"]), np.array(table["reference_nats"])
    return Spoken(
        table["response"],
        [asked[name] for name in table["prompt_id"]],
        np.array(table["log_ratio_nats"]),
        np.where(aligned, ours, theirs),
        np.array(table["n_tokens"], dtype=np.float64),
        aligned,
        codes(table["prompt_id"]),
        np.array(table["fold"]),
    )


def _from_samples(run: Path, recipe: ReadabilityRecipe) -> Estimate | None:
    """How a Bradley-Terry reward learnt from who wrote what ranks its held-out answers."""
    answered, _ = audited_answers(run)
    features = frequent_words(answered.texts, Fitting())
    examples = answered.examples(features(answered.texts))
    fitted = by_pairs(examples, linear, Learning(**recipe.learning))  # type: ignore[arg-type]
    rows = fitted.held_out[0][examples.prompt]
    with torch.no_grad():
        scores = fitted.head(examples.features[rows])[0].numpy().astype(np.float64)
    assert answered.log_ratio is not None
    prompt = codes(answered.prompt[rows.numpy()].tolist())
    returns = centred(answered.log_ratio[rows.numpy()], prompt)
    return rank_correlation(centred(scores, prompt), returns, prompt)


def _token_builds(recipe: ReadabilityRecipe, making: Making) -> Iterator[Build]:
    for seed in (*recipe.token_calibrated_on, *recipe.token_held_out):
        mdp = draw(seed, recipe.token_prompts)
        policies: list[tuple[str, Family, Levels]] = [
            ("exact optimum", "with KL", solve(mdp, BETA).policy),
            ("DPO", "DPO", by_dpo(mdp, BETA, seed=seed)),
            *(
                (f"{steps} steps without KL", "without KL", without_kl(mdp, steps))
                for steps in recipe.ascents
            ),
        ]
        for name, family, policy in policies:
            making.say(f"token world {seed}: {name}")
            spoken = _drawn(mdp, policy, recipe.token_answers, seed)
            found, signs = _judged(spoken)
            calibrated = seed in recipe.token_calibrated_on
            yield Build(Known("token worlds", name, seed, family, calibrated), spoken, found, signs)


def _drawn(mdp: TokenMDP, policy: Levels, answers: int, seed: int) -> Spoken:
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = along(policy), along(mdp.reference)
    at = [
        torch.multinomial(side.exp(), answers, replacement=True, generator=generator)
        for side in (ours, theirs)
    ]
    prompts = len(mdp.returns)
    prompt = np.tile(np.repeat(np.arange(prompts), answers), 2)
    rows = torch.cat([side.flatten() for side in at]).numpy()
    aligned = np.arange(len(rows)) < prompts * answers
    texts = response_texts(mdp)
    nats = ours.numpy()[prompt, rows], theirs.numpy()[prompt, rows]
    return Spoken(
        [texts[row] for row in rows],
        [TypedPrompt(f"q{number}") for number in prompt],
        nats[0] - nats[1],
        np.where(aligned, *nats),
        np.full(len(rows), float(mdp.horizon)),
        aligned,
        prompt,
        prompt % Fitting().n_folds,
    )


def _judged(spoken: Spoken) -> tuple[bool, Signs]:
    """What an audit of these answers would find."""
    fitting = Fitting()
    asked = [spoken.asked[at] for at in np.unique(spoken.prompt, return_index=True)[1]]
    answers = (list(spoken.texts), spoken.returns, spoken.prompt, spoken.fold)
    findings = find_objectives(*answers, asked, Search(fitting, Deciding(), 0))
    reward = fit_terms(*answers, fitting, 0).reward
    return bool(findings.objectives), signs_of(spoken, findings.objectives, reward)


def _summed(builds: Sequence[Build]) -> Iterator[ResultRow]:
    for calibrated in (True, False):
        part = [build for build in builds if build.known.calibrated == calibrated]
        which = "thresholds chosen on these" if calibrated else "held out"
        for kind in dict.fromkeys(build.known.kind for build in part):
            some = [build for build in part if build.known.kind == kind]
            seeds = sorted({build.known.seed for build in some})
            for family, further in FURTHER.items():
                of = Measured(f"{kind}, {which}: {family}", seeds)
                mine = [build for build in some if build.known.family == family]
                for level in LEVELS if mine else ():
                    n = sum(build.reading.readability == level for build in mine)
                    yield of.row("verdict", f"read as {level}", "share", exact_share(n, len(mine)))
                wrong = sum(not build.right for build in mine)
                said = "read too little" if further else "read too far"
                if mine:
                    yield of.row("verdict", said, "share", exact_share(wrong, len(mine)))
            error = exact_share(sum(not build.right for build in some), len(some))
            of = Measured(f"{kind}, {which}", seeds)
            yield of.row("verdict", "error rate", "share", error)


def _rows(build: Build) -> Iterator[ResultRow]:
    known = build.known
    set_name = "chosen on" if known.calibrated else "held out"
    of = Measured(f"{known.name} ({known.kind}; {known.family}; {set_name})", [known.seed])
    reading = build.reading
    said = f"read as {reading.readability} ({reading.caveat.code})"
    right = exact_share(int(build.right), 1)
    yield of.row(said, "as its training allows", "share", right)
    spilled = build.signs.spillover
    if spilled is not None:
        yield of.row("signs", "spillover", "share", spilled.share)
        yield of.row("signs", "order agreement", "share", spilled.order_agreement)
    yield of.row("signs", "entropy lost", "share", build.signs.entropy_lost)
    ours = build.spoken.aligned
    moved = np.stack([build.spoken.returns, build.spoken.n_tokens], axis=1)[ours]
    kl = from_sums(moved, build.spoken.prompt[ours], ratio)
    yield of.row("beside", "KL per token", "nats", kl)
    if build.sampled is not None:
        metric = "Spearman of the log-ratio with a reward from samples"
        yield of.row("beside", metric, "", build.sampled)
