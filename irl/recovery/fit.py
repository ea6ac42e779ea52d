"""The one training loop: members together, prompts split apart, each member stopped on its own.

Every member (seed) keeps a share of the prompts for validation, never seen by its gradient, and
draws its own weights. It is fitted once for each penalty of its squared weights,

    mean over prompts of the loss + penalty * sum of squared weights

and ends as it was when its validation loss was lowest, over epochs and penalties. Members share the
order of the batches and nothing else: a member is the same in whatever company it is fitted. With
`bootstrap`, each weighs the prompts that it trains on by how often they were drawn again.

Nothing is chosen here. All members are reported; `consensus` picks one without labels.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irl.config import Learning
from irl.errors import InputError
from irl.losses import Losses, Sides
from irl.recovery.examples import Batch, Examples
from irl.rewards.heads import Form, Head

MIN_PROMPTS = 5
"Fewer cannot be split into training and validation"
SILENCE_SECONDS = 10.0
"A fit that takes longer says how far it is"
LARGE = 500_000
"""Weights of one member from which members are fitted one after another: together they would
outgrow the cache of a core and take longer."""
_SEEDS_APART = 1_000_003
_LOG = logging.getLogger("irl.recovery")

Loss = Callable[..., Losses]
"(batch, scores of the reward, scores of other parts if any) to losses"
Constraint = Callable[[Head], None]
"Puts weights back into their bounds after every step"


@dataclass(frozen=True)
class Aim:
    """What a fit minimises, and within which bounds."""

    loss: Loss
    parts: int = 1
    "heads that the loss takes, the reward first"
    judged_by: Loss | None = None
    "the loss of the held-out prompts, where what is minimised is no measure"
    constraint: Constraint | None = None
    "restored after every step"


@dataclass(frozen=True)
class Fitted:
    """Rewards of all members, as they were when their validation loss was lowest."""

    parts: tuple[Head, ...]
    "the reward first"
    validation: Float[Tensor, "member epoch"]
    "mean loss of the held-out prompts; NaN after a member stopped"
    held_out: Bool[Tensor, "member prompt"]
    penalties: Float[Tensor, " member"]
    "that validated best"

    @property
    def head(self) -> Head:
        """The rewards."""
        return self.parts[0]

    def member(self, at: int) -> "Fitted":
        """One of them alone."""
        only = torch.tensor([at])
        parts = tuple(head.members_at(only) for head in self.parts)
        return Fitted(parts, self.validation[only], self.held_out[only], self.penalties[only])

    @property
    def epochs(self) -> list[int]:
        """At which epoch each member was best, from 0 (as it started)."""
        return [int(row.nan_to_num(torch.inf).argmin()) for row in self.validation]


def fit(
    examples: Examples,
    form: Form,
    aim: Aim,
    learning: Learning,
    start: Sequence[Head] | None = None,
    *,
    bootstrap: bool = False,
) -> Fitted:
    """Fit one reward for each seed, in the precision of the features.

    Args:
        examples: answers of both policies.
        form: what kind of head.
        aim: what is minimised.
        learning: seeds, steps and when to stop.
        start: heads to go on from; drawn anew if None.
        bootstrap: weigh prompts by draws with replacement (Efron 1979), each seed by its own.

    Raises:
        InputError: too few prompts to hold some out.
    """
    n_clusters = int(examples.clusters.max()) + 1
    if n_clusters < MIN_PROMPTS:
        raise InputError(
            f"A reward is fitted to some prompts and stopped by others; {n_clusters} are too few, "
            f"at least {MIN_PROMPTS} are needed."
        )
    heads = list(start or _drawn(examples, form, learning, aim.parts))
    how = _How(examples, aim, learning, bootstrap=bootstrap)
    if not one_by_one(heads):
        return _together(how, heads, learning.seeds)
    each = [
        _together(how, [head.members_at(torch.tensor([at])) for head in heads], (seed,))
        for at, seed in enumerate(learning.seeds)
    ]
    return joined(each)


def one_by_one(heads: Sequence[Head]) -> bool:
    """Whether members are too large to be fitted together."""
    return sum(weight[0].numel() for head in heads for weight in head.parameters()) > LARGE


@dataclass(frozen=True)
class _How:
    examples: Examples
    aim: Aim
    learning: Learning
    bootstrap: bool


def _together(how: _How, start: Sequence[Head], seeds: Sequence[int]) -> Fitted:
    examples, aim, learning = how.examples, how.aim, how.learning
    clusters = examples.clusters
    tries = len(learning.penalties)
    n_clusters = int(clusters.max()) + 1
    kept_back = torch.stack(
        [hold_out(n_clusters, learning.validation_share, seed) for seed in seeds]
    )
    weights_of = drawn_again(kept_back, seeds) if how.bootstrap else (~kept_back).float()
    held_out = kept_back[:, clusters].repeat_interleave(tries, 0)
    trained_on = weights_of[:, clusters].repeat_interleave(tries, 0)
    penalties = torch.tensor(learning.penalties, dtype=examples.features.dtype)
    penalties = penalties.repeat(len(seeds))
    heads = [head.members_at(torch.arange(head.members).repeat_interleave(tries)) for head in start]
    course = _Course(heads, penalties, learning.patience)
    weights = [weight for head in heads for weight in head.parameters()]
    # Fused: the steps of many members would else cost more than their gradients.
    optimiser = torch.optim.Adam(weights, lr=learning.learning_rate, fused=True)
    order, penalised = torch.Generator().manual_seed(0), bool(penalties.any())
    judged_by = aim.judged_by or aim.loss
    course.judge(_validation(examples, heads, judged_by, held_out))
    while course.running and len(course.losses) <= learning.epochs:
        for prompts in torch.randperm(examples.n_prompts, generator=order).split(
            learning.prompts_per_step
        ):
            batch = examples.batch(prompts)
            each = aim.loss(batch, *_scores(batch, heads))
            minimised = _mean(each, trained_on[:, prompts])
            if penalised:
                minimised = minimised + penalties * sum(h.squared_weights() for h in heads)
            optimiser.zero_grad()
            minimised.sum().backward()
            optimiser.step()
            if aim.constraint:
                for head in heads:
                    aim.constraint(head)
        course.judge(_validation(examples, heads, judged_by, held_out))
        course.say(learning.epochs)
    course.restore()
    at = course.best.view(-1, tries).argmin(1) + tries * torch.arange(len(seeds))
    parts_kept = tuple(head.members_at(at) for head in heads)
    return Fitted(parts_kept, torch.stack(course.losses, 1)[at], held_out[at], penalties[at])


def joined(each: Sequence[Fitted]) -> Fitted:
    """Members that were fitted one by one, together."""
    parts = zip(*(fitted.parts for fitted in each), strict=True)
    validation = torch.nn.utils.rnn.pad_sequence(
        [fitted.validation[0] for fitted in each], batch_first=True, padding_value=torch.nan
    )
    return Fitted(
        tuple(Head.joined(heads) for heads in parts),
        validation,
        torch.cat([fitted.held_out for fitted in each]),
        torch.cat([fitted.penalties for fitted in each]),
    )


def hold_out(n_prompts: int, share: float, seed: int) -> Bool[Tensor, " prompt"]:
    """The prompts that this seed validates on: at least one, and never all."""
    n = min(max(round(share * n_prompts), 1), n_prompts - 1)
    generator = torch.Generator().manual_seed(seed)
    held_out = torch.zeros(n_prompts, dtype=torch.bool)
    held_out[torch.randperm(n_prompts, generator=generator)[:n]] = True
    return held_out


def drawn_again(
    held_out: Bool[Tensor, "member prompt"], seeds: Sequence[int]
) -> Float[Tensor, "member prompt"]:
    """How often a bootstrap sample of the prompts that are not held out holds each of them."""
    counts = torch.zeros(held_out.shape)
    for row, theirs, seed in zip(counts, held_out, seeds, strict=True):
        own = (~theirs).nonzero().squeeze(1)
        # Another stream than `hold_out`, which starts from the same seed.
        generator = torch.Generator().manual_seed(seed + _SEEDS_APART)
        drawn = own[torch.randint(len(own), (len(own),), generator=generator)]
        row += torch.bincount(drawn, minlength=len(row))
    return counts


def _drawn(examples: Examples, form: Form, learning: Learning, parts: int) -> list[Head]:
    """Heads whose members are drawn by their own seeds."""
    n_features = examples.features.shape[1]
    singles = [torch.Generator().manual_seed(seed) for seed in learning.seeds]
    heads = [
        Head.joined([form(1, n_features, generator) for generator in singles]) for _ in range(parts)
    ]
    double = examples.features.dtype == torch.float64
    return [head.double() if double else head for head in heads]


def _scores(batch: Batch, heads: Sequence[Head]) -> list[Sides]:
    return [batch.sides(head(batch.features)) for head in heads]


def _mean(each: Losses, which: Tensor) -> Float[Tensor, " member"]:
    weights = which.to(each.dtype)
    mean: Tensor = (each * weights).sum(1) / weights.sum(1).clamp(min=1)
    return mean


@torch.no_grad()
def _validation(
    examples: Examples, heads: Sequence[Head], loss: Loss, held_out: Bool[Tensor, "member prompt"]
) -> Float[Tensor, " member"]:
    someones = held_out.any(0).nonzero().squeeze(1)
    each = []
    for prompts in someones.split(256):
        batch = examples.batch(prompts)
        each.append(loss(batch, *_scores(batch, heads)))
    return _mean(torch.cat(each, 1), held_out[:, someones])


class _Course:
    """Each member's losses so far, and its weights when they were lowest."""

    def __init__(self, heads: Sequence[Head], members: Tensor, patience: int) -> None:
        self.heads, self.patience = heads, patience
        self.best = torch.full_like(members, torch.inf)
        self.waited = torch.zeros(len(members), dtype=torch.long)
        self.losses: list[Tensor] = []
        self.said_seconds = perf_counter()
        self.kept = [[weight.detach().clone() for weight in head.parameters()] for head in heads]

    @property
    def running(self) -> bool:
        """Whether some member may still improve."""
        return bool((self.waited < self.patience).any())

    def judge(self, losses: Float[Tensor, " member"]) -> None:
        """Take the weights of members that improved; those that waited too long have stopped."""
        stopped = self.waited >= self.patience
        better = (losses < self.best) & ~stopped
        self.best = torch.where(better, losses, self.best)
        self.waited = torch.where(better, 0, self.waited + 1)
        self.losses.append(torch.where(stopped, torch.nan, losses))
        for head, kept in zip(self.heads, self.kept, strict=True):
            for weight, best in zip(head.parameters(), kept, strict=True):
                best[better] = weight.detach()[better]

    def say(self, at_most: int) -> None:
        """How far it is, now and then."""
        if perf_counter() - self.said_seconds < SILENCE_SECONDS:
            return
        self.said_seconds = perf_counter()
        improving = int((self.waited < self.patience).sum())
        _LOG.info(
            "fitting: %d of at most %d epochs, %d of %d fits still improve",
            *(len(self.losses) - 1, at_most, improving, len(self.waited)),
        )

    def restore(self) -> None:
        """Put every member's best weights back."""
        with torch.no_grad():
            for head, kept in zip(self.heads, self.kept, strict=True):
                for weight, best in zip(head.parameters(), kept, strict=True):
                    weight.copy_(best)
