"""From edited answers to a finding.

A unit is a few exchanges with weights, made from one answer:

    d = sum_k weight_k target(exchange_k),   the weights of each prompt in it sum to 0

so what a prompt alone adds cancels, as it must (theory: c(x)). The effect is the mean of d, first
over the answers of a prompt, then over prompts; a run's prompts are the clusters of its interval
and what the sign flips flip. Scaled by the within-prompt standard deviation of the target on the
run's own answers it is free of beta.

Not identified: an edited text is one that neither policy would say as it stands. The log-ratio of
such a text is less evidence of a reward the further off it is, and says nothing where, under the
reference, most edited answers are less likely than 95 % of its own: per token, or in their least
likely token. Such a probe does not fire.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from explain.probes.likelihood import Judge, Likelihood
from explain.resampling import Array, Codes, flipped, gap_of, mean_of, means, permuted
from explain.targets import Exchange, Target
from irl.records import Estimate, ProbeFinding, ProbeLimits
from irl.within import spread

MIN_PROMPTS = 8
"Below, an effect has no interval worth the name"
RARE = 0.05
"Share of the run's own answers that are less likely than what is called far off"


@dataclass(frozen=True)
class Ground:
    """What a run's probes stand on: the pair's own answers."""

    exchanges: Sequence[Exchange]
    prompt: Codes
    "prompt number of each"
    values: Array
    "the target on each"
    aligned: NDArray[np.bool_]
    "who wrote it"
    typical: Likelihood | None = None
    "of answers that the reference wrote; None where no reference is at hand"

    @cached_property
    def sd(self) -> float:
        """Within-prompt standard deviation of the target, in its unit."""
        return spread(self.values, self.prompt)

    @cached_property
    def by_prompt(self) -> list[list[int]]:
        """The answers of each prompt, those of the two policies in turn."""
        sides: list[tuple[list[int], list[int]]] = [
            ([], []) for _ in range(int(self.prompt.max()) + 1 if len(self.prompt) else 0)
        ]
        for at, (number, ours) in enumerate(zip(self.prompt, self.aligned, strict=True)):
            sides[number][0 if ours else 1].append(at)
        return [_in_turn(ours, theirs) for ours, theirs in sides]

    def standardised(self, effect: float) -> float:
        """An effect in within-prompt standard deviations."""
        return effect / self.sd if self.sd else 0.0


@dataclass(frozen=True)
class Measuring:
    """How a run's probes are measured."""

    target: Target
    likelihood: Judge | None
    "under the reference, where there is one"
    limits: ProbeLimits
    seed: int = 0
    tries: int = 1
    "probes of the run, which its p values are corrected for"
    prompts: int = 100
    "each probe is tried on the answers to so many prompts at most"
    answers: int = 2
    "of a prompt"
    fits: Callable[[Exchange], bool] | None = None
    "whether the policies can read an exchange; what does not fit is not tried"


@dataclass(frozen=True)
class Unit:
    """Exchanges made from one answer, with the weights of a difference."""

    base: int
    "the answer, by its number in the ground"
    cells: tuple[tuple[Exchange, float], ...]


@dataclass(frozen=True)
class Measured:
    """Units with what was read off them."""

    name: str
    units: Sequence[Unit]
    values: Sequence[Array]
    "the target of each cell of each unit"
    likelihood: Sequence[Likelihood] | None
    "of the same under the reference"
    own: Likelihood | None
    "of the answers that the units were made from"
    prompt: Codes
    "prompt number of each unit"

    @cached_property
    def differences(self) -> Array:
        """The weighted sum of each unit, in the target's unit."""
        return np.array(
            [
                float(values @ np.array([weight for _, weight in unit.cells]))
                for unit, values in zip(self.units, self.values, strict=True)
            ]
        )

    @cached_property
    def of_prompts(self) -> Array:
        """The mean d of each prompt that has units."""
        return means(self.differences, self.prompt)


Making = Callable[[Exchange, np.random.Generator], tuple[tuple[Exchange, float], ...] | None]
"""What a probe makes of one answer; None where there is nothing to edit."""


def units_of(
    make: Making, ground: Ground, by: Measuring, *, only: Collection[int] | None = None
) -> list[Unit]:
    """Units from the answers of the first prompts, of those numbers, that have some to edit."""
    rng = np.random.default_rng([by.seed, 11])
    found: list[Unit] = []
    prompts = 0
    for number, answers in enumerate(ground.by_prompt):
        if prompts == by.prompts or (only is not None and number not in only):
            continue
        own = 0
        for at in answers:
            cells = make(ground.exchanges[at], rng) if own < by.answers else None
            if cells is not None and _fit(cells, by):
                found.append(Unit(at, cells))
                own += 1
        prompts += own > 0
    return found


def _fit(cells: Sequence[tuple[Exchange, float]], by: Measuring) -> bool:
    return by.fits is None or all(by.fits(exchange) for exchange, _ in cells)


def measure(name: str, units: Sequence[Unit], ground: Ground, by: Measuring) -> Measured:
    """Read the target off all cells of all units in one call."""
    cells = [exchange for unit in units for exchange, _ in unit.cells]
    ends = np.cumsum([0, *(len(unit.cells) for unit in units)])
    values = by.target(cells).numpy().astype(np.float64) if cells else np.empty(0)
    likely, own = None, None
    if by.likelihood is not None and units:
        bases = [ground.exchanges[unit.base] for unit in units]
        read = by.likelihood([*cells, *bases])
        likely = [read.rows(start, end) for start, end in pairwise(ends.tolist())]
        own = read.rows(len(cells), len(cells) + len(bases))
    prompt = ground.prompt[np.array([unit.base for unit in units], dtype=int)]
    read_off = [values[start:end] for start, end in pairwise(ends.tolist())]
    return Measured(name, units, read_off, likely, own, prompt)


@dataclass(frozen=True)
class Off:
    """How far edited answers lie off what the reference says."""

    far: bool | None = None
    edited: float | None = None
    own: float | None = None


def off(measured: Measured, ground: Ground) -> Off:
    """The likelihood of edited answers beside that of the answers they were made from.

    An answer counts by the least likely cell that was made from it.
    """
    if measured.likelihood is None or measured.own is None or ground.typical is None:
        return Off()
    mean, least = (
        np.array(
            [
                min(getattr(read, name)[_changed(unit, ground)], default=np.inf)
                for unit, read in zip(measured.units, measured.likelihood, strict=True)
            ]
        )
        for name in ("mean", "least")
    )
    far = any(
        np.median(ours) < np.quantile(theirs, RARE)
        for ours, theirs in ((mean, ground.typical.mean), (least, ground.typical.least))
    )
    return Off(far, float(mean.mean()), float(measured.own.mean.mean()))


def finding(
    measured: Measured, kind: str, ground: Ground, by: Measuring, said: str
) -> ProbeFinding:
    """The mean difference over prompts: does it stand out, and is it large?

    Args:
        measured: the units.
        kind: of the edit.
        ground: the run's own answers.
        by: limits, and the number of probes of the run.
        said: what was done, as the subject of a sentence.
    """
    d = measured.of_prompts
    if len(d) < MIN_PROMPTS:
        return unmeasured(measured.name, kind, f"only {len(d)} prompts have answers to edit so")
    p = flipped(d, by.seed)
    tested = _Tested(mean_of(d, by.seed), p, float(d.std(ddof=1)))
    return _judged(measured, kind, tested, ground, by, said)


def difference(
    inside: Measured, outside: Measured, kind: str, ground: Ground, by: Measuring, said: str
) -> ProbeFinding:
    """How much larger the effect is in some prompts than in the others.

    By permutation of the prompts: that they are alike is what is tested.
    """
    a, b = inside.of_prompts, outside.of_prompts
    if min(len(a), len(b)) < MIN_PROMPTS:
        reason = f"only {len(a)} and {len(b)} prompts have answers to edit so"
        return unmeasured(inside.name, kind, reason)
    d, here = np.concatenate([a, b]), np.arange(len(a) + len(b)) < len(a)
    tested = _Tested(gap_of(d, here, by.seed), permuted(d, here, by.seed), None)
    return _judged(inside, kind, tested, ground, by, said)


def unmeasured(name: str, kind: str, reason: str) -> ProbeFinding:
    """A probe that could not be tried."""
    return ProbeFinding(
        name=name,
        kind=kind,
        effect=None,
        effect_sd=None,
        spread_sd=None,
        p_value=None,
        p_corrected=None,
        fired=False,
        far_off=None,
        edited_nats_per_token=None,
        own_nats_per_token=None,
        n_edited=0,
        statement=f"{name}: not measured, {reason}.",
        reason=reason,
    )


@dataclass(frozen=True)
class _Tested:
    estimate: Estimate
    p: float
    spread: float | None


def _judged(
    measured: Measured, kind: str, tested: _Tested, ground: Ground, by: Measuring, said: str
) -> ProbeFinding:
    away, size = off(measured, ground), ground.standardised(tested.estimate.value)
    corrected = min(1.0, tested.p * by.tries)
    large = abs(size) >= by.limits.min_effect_sd and corrected <= by.limits.nominal
    fired = large and not away.far
    return ProbeFinding(
        name=measured.name,
        kind=kind,
        effect=tested.estimate,
        effect_sd=size,
        spread_sd=None if tested.spread is None else ground.standardised(tested.spread),
        p_value=tested.p,
        p_corrected=corrected,
        fired=fired,
        far_off=away.far,
        edited_nats_per_token=away.edited,
        own_nats_per_token=away.own,
        n_edited=len(measured.units),
        statement=_sentence(said, size, fired=fired, large=large),
        reason=None,
    )


def _sentence(said: str, size: float, *, fired: bool, large: bool) -> str:
    if not large:
        return f"{said} changes what an answer is worth by {size:+.2f} sd: nothing is made of it."
    if fired:
        return f"{said} is {'paid for' if size > 0 else 'charged for'}: {size:+.2f} sd."
    return f"{said} goes with {size:+.2f} sd, but on texts too far off the reference to count."


def _in_turn(ours: Sequence[int], theirs: Sequence[int]) -> list[int]:
    both = [at for pair in zip(ours, theirs, strict=False) for at in pair]
    n = min(len(ours), len(theirs))
    return [*both, *ours[n:], *theirs[n:]]


def _changed(unit: Unit, ground: Ground) -> NDArray[np.bool_]:
    """Which cells are not the answer as it was."""
    own = ground.exchanges[unit.base]
    return np.array([exchange != own for exchange, _ in unit.cells])
