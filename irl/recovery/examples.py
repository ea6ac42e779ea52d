"""What a reward is fitted to: features of both policies' answers, prompt by prompt."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from irl.errors import InputError
from irl.losses import Sides


@dataclass(frozen=True)
class Examples:
    """Answers, in any order. Preferences fit in too: chosen as aligned, rejected as reference."""

    features: Float[Tensor, "row feature"]
    prompt: Int[Tensor, " row"]
    "prompt number, 0 .. n - 1"
    aligned: Bool[Tensor, " row"]
    "who wrote it"
    targets: Float[Tensor, " row"] | None = None
    "summed log-ratios, nats, where the policies are at hand"
    log_policy: Float[Tensor, " row"] | None = None
    "log-probability of each answer under the aligned policy, nats, where it is at hand"
    weights: Float[Tensor, " row"] | None = None
    "1 each if None; the probabilities of all answers make means exact"
    cluster: Int[Tensor, " prompt"] | None = None
    "what is held out together, 0 .. n - 1, where that is more than one of what counts as a prompt"

    def __post_init__(self) -> None:
        counts = torch.stack([self._per_prompt(self.aligned), self._per_prompt(~self.aligned)])
        if not counts.numel() or int(counts.min()) < 1:
            raise InputError(
                "Every prompt needs an answer of both policies; "
                f"{int((counts == 0).any(0).sum())} of {counts.shape[1]} lack one."
            )

    @classmethod
    def of_pairs(
        cls,
        chosen: Float[Tensor, "pair feature"],
        rejected: Float[Tensor, "pair feature"],
        cluster: Int[Tensor, " pair"],
    ) -> "Examples":
        """Preferences: each pair is compared with itself only, and held out with its prompt."""
        pair = torch.arange(len(chosen))
        aligned = torch.arange(2 * len(chosen)) < len(chosen)
        return cls(torch.cat([chosen, rejected]), pair.repeat(2), aligned, cluster=cluster)

    @property
    def clusters(self) -> Int[Tensor, " prompt"]:
        """What each prompt is held out with."""
        return torch.arange(self.n_prompts) if self.cluster is None else self.cluster

    @property
    def n_prompts(self) -> int:
        """How many prompts."""
        return int(self.prompt.max()) + 1 if len(self.prompt) else 0

    @cached_property
    def ours(self) -> Int[Tensor, "prompt ours"]:
        """Rows of the aligned policy's answers to each prompt, filled with -1."""
        return self._rows(self.aligned)

    @cached_property
    def theirs(self) -> Int[Tensor, "prompt theirs"]:
        """Rows of the reference's answers."""
        return self._rows(~self.aligned)

    def rows(self, chosen: Bool[Tensor, " row"]) -> "Examples":
        """Some of the answers, in whole prompts; prompts are numbered anew."""
        kept, prompt = self.prompt[chosen].unique(return_inverse=True)

        def some(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[chosen]

        cluster = self.cluster
        return Examples(
            self.features[chosen],
            prompt,
            self.aligned[chosen],
            some(self.targets),
            some(self.log_policy),
            some(self.weights),
            None if cluster is None else cluster[kept].unique(return_inverse=True)[1],
        )

    def sides(self, scores: Float[Tensor, "member row"]) -> Sides:
        """Lay scores of all answers out by prompt."""
        return Sides(
            scores[:, self.ours.clamp(min=0)],
            scores[:, self.theirs.clamp(min=0)],
            self._weights(self.ours),
            self._weights(self.theirs),
        )

    def batch(self, prompts: Int[Tensor, " prompt"]) -> "Batch":
        """The answers to some prompts."""
        ours, theirs = self.ours[prompts], self.theirs[prompts]
        rows = torch.cat([ours.flatten(), theirs.flatten()]).clamp(min=0)
        batch = Batch(self.features[rows], self._weights(ours), self._weights(theirs))
        if self.targets is None:
            return batch
        return replace(batch, wanted=batch.sides(self.targets[rows][None]))

    def _weights(self, rows: Int[Tensor, "prompt some"]) -> Float[Tensor, "prompt some"]:
        there = (rows >= 0).to(self.features.dtype)
        return there if self.weights is None else there * self.weights[rows.clamp(min=0)]

    def _per_prompt(self, chosen: Bool[Tensor, " row"]) -> Int[Tensor, " prompt"]:
        return torch.bincount(self.prompt[chosen], minlength=self.n_prompts)

    def _rows(self, chosen: Bool[Tensor, " row"]) -> Int[Tensor, "prompt some"]:
        at = chosen.nonzero().squeeze(1)
        at = at[self.prompt[at].argsort(stable=True)]
        sizes = self._per_prompt(chosen)
        place = torch.arange(len(at)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        rows = torch.full((self.n_prompts, int(sizes.max())), -1)
        rows[self.prompt[at], place] = at
        return rows


@dataclass(frozen=True)
class Batch:
    """The answers to some prompts, in a form that scores can be laid on."""

    features: Float[Tensor, "row feature"]
    "all of the aligned policy's, then all of the reference's; gaps hold some answer"
    ours: Float[Tensor, "prompt ours"]
    "weights, 0 in gaps"
    theirs: Float[Tensor, "prompt theirs"]
    wanted: Sides | None = None
    "the targets, member 1"

    def sides(self, scores: Float[Tensor, "member row"]) -> Sides:
        """Lay scores of the rows out by prompt."""
        split = self.ours.numel()
        return Sides(
            scores[:, :split].unflatten(1, self.ours.shape),
            scores[:, split:].unflatten(1, self.theirs.shape),
            self.ours,
            self.theirs,
        )
