"""Rows about students: what does a small policy gain from an aligned one, and at what KL?

For every seed, the language world's reference is aligned with a planted reward (the teacher), and a
smaller policy that imitates the reference (the start) learns from it in several ways: from its
answers (SFT), from its probabilities there (KD), and from the recovered advantage alone, with
nothing of the teacher's taste but ln aligned / reference. If the recovered reward is what the
alignment taught, the last is enough. One student has no teacher: SFT on the better of two answers
of the reference, as the planted reward has it.

Students stand on their own plane: gold gained over the start, KL from the start, and the most gold
that any policy has at that KL, by reweighting answers of the start. The teacher stands on the
reference's. Shares of these frontiers compare at equal KL.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured, mean_of_seeds, written
from irl.config import Loading, Sampling
from irl.engine.local import draw_answers
from irl.jobs.align import align
from irl.jobs.align_settings import AlignSettings
from irl.organisms.answers_of_world import (
    REFERENCE,
    labelled_pairs,
    planted_gold,
    trained_prompts,
    unconditional,
)
from irl.organisms.grammar import World
from irl.organisms.language import save_rounded
from irl.organisms.planted import Plant, plants
from irl.organisms.student import imitate
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.sample import Ids
from irl.policies.template import encode_prompt, encode_response
from irl.records import ResultRow
from irl.rlhf.distillation import (
    Lesson,
    Schedule,
    from_advantage,
    from_answers,
    from_probabilities,
    learn,
)
from irl.rlhf.frontier import Frontier, frontier
from irl.rlhf.watch import Rewards, Watch
from irl.tensors import TokenSequence

TEACHER = "teacher"
SFT, PREFERRED = "SFT on its answers", "SFT on the better of two answers"
_TOO_FAR = "the KL is beyond what reweighted answers of the start tell"


class Advantage(BaseModel):
    """What is learnt of the teacher beyond what it says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float
    over_reference: bool = True
    "or the teacher's log-probabilities alone, which pay what the reference liked too"

    @property
    def name(self) -> str:
        """As the table has it."""
        over = "" if self.over_reference else ", without the reference"
        return f"advantage, strength {self.strength:g}{over}"


class DistillationRecipe(BaseModel):
    """Who teaches whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["distillation"]
    objectives: tuple[str, ...]
    "of the language world of seed 0, without a condition"
    seeds: tuple[int, ...]
    prompts: int
    "to train on, the teacher and the students"
    align: dict[str, Any]
    "settings of the teacher's `irl align`"
    student: dict[str, Any]
    "sizes of the student, as LlamaConfig names them"
    imitated_answers: int
    "of the reference to each prompt, which make the start"
    taught_answers: int
    "of the teacher to each prompt, for SFT and KD; the better of two are as many"
    learning: dict[str, Any]
    "steps, batch and learning_rate of the students"
    advantages: tuple[Advantage, ...]
    watched_prompts: int
    "which nobody trains on"
    watched_answers: int
    frontier_answers: int
    max_new_tokens: int


@dataclass(frozen=True)
class _End:
    """Where a policy ended: gold over what it started from, KL to it, its share of the frontier."""

    gain: float
    kl_nats: float
    share: float | None


def distillation_rows(recipe: DistillationRecipe, making: Making) -> list[ResultRow]:
    """Every student of every teacher; what was trained is reused.

    Raises:
        InputError: there is no such objective.
    """
    known = plants(World.draw(0))
    school = _School(recipe, making)
    found: list[ResultRow] = []
    for objective in recipe.objectives:
        plant = unconditional(known, objective)
        ends: dict[str, list[_End]] = {}
        for seed in recipe.seeds:
            making.say(f"{objective}: seed {seed}")
            for method, end in _class_of(school, plant, seed).items():
                ends.setdefault(method, []).append(end)
        found += _rows_of(Measured(objective, list(recipe.seeds)), ends)
    return found


def _rows_of(of: Measured, ends: Mapping[str, Sequence[_End]]) -> Iterator[ResultRow]:
    for method, each in ends.items():
        gains = mean_of_seeds([end.gain for end in each])
        yield of.row(method, "gold gain", "units of the reward", gains)
        yield of.row(method, "KL", "nats", mean_of_seeds([end.kl_nats for end in each]))
        shares = [end.share for end in each if end.share is not None]
        told = mean_of_seeds(shares) if shares else None
        yield of.row(method, "of the frontier at its KL", "share", told, _TOO_FAR)
        if method.startswith("advantage"):
            yield from (_beside(of, method, each, other, ends[other]) for other in (SFT, PREFERRED))


def _beside(
    of: Measured, method: str, ends: Sequence[_End], other: str, others: Sequence[_End]
) -> ResultRow:
    more = [
        end.share - that.share
        for end, that in zip(ends, others, strict=True)
        if end.share is not None and that.share is not None
    ]
    told = mean_of_seeds(more) if more else None
    return of.row(method, f"more of the frontier than {other}", "share", told, _TOO_FAR)


@dataclass(frozen=True)
class _School:
    """What all objectives share: prompts, the reference, and the student at its start."""

    recipe: DistillationRecipe
    making: Making

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Prompts, the watched ones last."""
        return trained_prompts(0, self.recipe.prompts + self.recipe.watched_prompts)

    @cached_property
    def reference(self) -> Policy:
        """The teacher's."""
        return load_full(locate(str(REFERENCE)), Loading())

    @property
    def asked(self) -> list[Any]:
        """Prompts to train on."""
        return [row["prompt"] for row in self.rows[: self.recipe.prompts]]

    @property
    def watched(self) -> list[Any]:
        """Prompts that nobody trains on."""
        return [row["prompt"] for row in self.rows[self.recipe.prompts :]]

    def start(self) -> Policy:
        """A new copy of the student before its lessons."""
        folder = self.making.folder / "start"
        if not (folder / "config.json").is_file():
            self.making.say("the start imitates the reference")
            tokenizer, sizes = self.reference.tokenizer, self.recipe.student
            imitate(tokenizer, self.asked, self.recipe.imitated_answers, sizes, folder)
        return load_full(locate(str(folder)), Loading())

    def encoded(self, prompts: Sequence[Any], each: int = 1) -> list[Ids]:
        """As all of them read prompts."""
        ids = [encode_prompt(self.reference.tokenizer, prompt) for prompt in prompts]
        return [one for one in ids for _ in range(each)]

    def answers(self, policy: Policy, prompts: Sequence[Ids], seed: int) -> list[Ids]:
        """One to each."""
        sampling = Sampling(max_new_tokens=self.recipe.max_new_tokens)
        generator = torch.Generator().manual_seed(seed)
        return draw_answers(policy, prompts, generator, policy.eos_ids, sampling)

    def taught(self, aligned: Policy, seed: int) -> list[TokenSequence]:
        """The teacher's answers."""
        prompts = self.encoded(self.asked, self.recipe.taught_answers)
        said = self.answers(aligned, prompts, seed)
        return [TokenSequence(p, a) for p, a in zip(prompts, said, strict=True)]

    def preferred(self, plant: Plant, seed: int) -> list[TokenSequence]:
        """The better answers of labelled pairs, two pairs to a prompt."""
        n = self.recipe.prompts * self.recipe.taught_answers // 2
        rows = labelled_pairs(0, plant.name, n, draw=seed)
        tokenizer, ends = self.reference.tokenizer, self.reference.eos_ids
        return [encode_response(tokenizer, row["prompt"], row["chosen"], ends) for row in rows]

    def plane(self, start: Policy, plant: Plant, seed: int) -> "_Plane":
        """Gold and KL beside a policy."""
        gold, each = planted_gold(plant), self.recipe.frontier_answers
        drawn = self.answers(start, self.encoded(self.watched, each), seed=1)
        texts = [response_text(start.tokenizer, ids) for ids in drawn]
        bound = frontier(list(gold(texts, []).reshape(-1, each)))
        sampling = Sampling(
            responses_per_prompt=self.recipe.watched_answers,
            max_new_tokens=self.recipe.max_new_tokens,
        )
        rewards = Rewards(gold, lambda texts, prompts: gold(texts, prompts)[None])
        return _Plane(Watch(start, self.watched, rewards, sampling, seed), bound)


@dataclass(frozen=True)
class _Plane:
    """Gold and KL of policies beside what they started from."""

    watch: Watch
    bound: Frontier

    def end(self, policy: Policy) -> _End:
        """Where a policy lies."""
        look = self.watch.look(policy, step=0)
        gain, kl = float(look.proxy.mean()), float(look.kl_nats.mean())
        return _End(gain, kl, self.bound.share(gain, kl))


def _class_of(school: _School, plant: Plant, seed: int) -> dict[str, _End]:
    """A teacher and its students."""
    recipe, folder = school.recipe, school.making.folder
    aligned = load_full(locate(str(_teacher(school, plant, seed))), Loading())
    taught = cache(partial(school.taught, aligned, seed))
    schedule = Schedule(seed=seed, max_new_tokens=recipe.max_new_tokens, **recipe.learning)
    start, asked = school.start(), school.encoded(school.asked)
    lessons: dict[str, Callable[[], Lesson]] = {
        SFT: lambda: from_answers(taught(), schedule),
        "KD on its answers": lambda: from_probabilities(aligned, taught(), schedule),
        PREFERRED: lambda: from_answers(school.preferred(plant, seed), schedule),
    }
    for one in recipe.advantages:
        over = school.reference if one.over_reference else None
        lessons[one.name] = partial(
            from_advantage, start, aligned, over, asked, one.strength, schedule
        )
    ends = {TEACHER: school.plane(school.reference, plant, seed).end(aligned)}
    plane = school.plane(start, plant, seed)
    for method, lesson in lessons.items():
        place = folder / f"{plant.name}-{seed}" / method.replace(" ", "-").replace(",", "")
        ends[method] = plane.end(_student(school, place, lesson, schedule))
    return ends


def _student(
    school: _School, place: Path, lesson: Callable[[], Lesson], schedule: Schedule
) -> Policy:
    if not (place / "config.json").is_file():
        school.making.say(place.name)
        student = school.start()
        learn(student, lesson(), schedule)
        save_rounded(student.model, student.tokenizer, place)
    return load_full(locate(str(place)), Loading())


def _teacher(school: _School, plant: Plant, seed: int) -> Path:
    folder = school.making.folder
    true = folder / f"true-{plant.name}"
    plant.prices.save(true, "terms")
    trained = school.rows[: school.recipe.prompts]
    prompts = written(folder / "prompts.jsonl", trained)
    named = {"reward": str(true), "policy": str(REFERENCE), "prompts": str(prompts), "seed": seed}
    settings = AlignSettings.checked(school.recipe.align | named)
    return align(settings, folder / f"teacher-{plant.name}-{seed}").policy
