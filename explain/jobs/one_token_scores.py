"""Scoring answers of one token in shards of prompts, each prompt read once under each policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from explain.one_token import Ids, OneTokenNats, worth_asking
from irl.config import Sampling, ScoreSettings
from irl.engine.shards import Progress, Shards, run_parts, slices
from irl.policies.continued import ReadPrompt
from irl.policies.pair import PolicyPair
from irl.records import LeftOut


class TokensSettings(ScoreSettings):
    """What a view of the vocabulary needs."""

    sampling: Sampling = Sampling(max_new_tokens=2)
    "nothing is drawn; a token and the end must fit after the prompt"
    exact_up_to: int = Field(1024, ge=1)
    "the largest vocabulary of which every token is scored"
    most: int = Field(200, ge=1)
    "of a larger one: so many best, worst and likeliest ones"
    floor: float = Field(1e-6, ge=0, lt=1)
    "an answer that is less likely under both policies is off the map"
    bootstrap_draws: int = Field(1000, ge=100)
    run: str | None = None
    "an audit of this pair, whose fitted weights are put beside the words"


@dataclass(frozen=True)
class Asking:
    """A pair, encoded prompts, and the token that ends an answer to each."""

    pair: PolicyPair
    prompts: Sequence[tuple[int, ...]]
    ends: Sequence[int]
    settings: TokensSettings
    folder: Path
    progress: Progress

    def tokens(self) -> tuple[Ids, LeftOut | None]:
        """The tokens to be scored, in the order of their ids, and what that leaves out."""
        known = self._known
        if known <= self.settings.exact_up_to:
            return np.arange(known), None
        sums = self._in_shards("first", self._first_sums)
        ratio, ours, theirs = (
            np.sum(np.stack(sums[name].to_numpy()), axis=0) / len(self.prompts) for name in _SUMS
        )
        found = worth_asking(ratio, ours, theirs, self.settings.most, self.settings.floor)
        found = np.union1d(found, np.unique(self.ends))
        rest = np.setdiff1d(np.arange(known), found)
        left = LeftOut(
            tokens=len(rest),
            aligned_share=float(ours[rest].sum()),
            reference_share=float(theirs[rest].sum()),
        )
        return found, left

    def nats(self, tokens: Ids) -> OneTokenNats:
        """Each token and the end after it, under both policies."""

        def score(_: int, part: Sequence[int]) -> pa.Table:
            return pa.Table.from_pylist([self._one(at, tokens) for at in part], schema=_SCORED)

        table = self._in_shards("one-token", score)
        return OneTokenNats(*(np.stack(table[name].to_numpy()).astype(float) for name in _NATS))

    @property
    def _known(self) -> int:
        """How many tokens have a text, and a row in both output layers."""
        sides = (self.pair.aligned, self.pair.reference)
        rows = [len(side.model.get_output_embeddings().weight) for side in sides]
        return min(len(self.pair.tokenizer), *rows)

    def _in_shards(self, name: str, compute: Callable[[int, Sequence[int]], pa.Table]) -> pa.Table:
        size = self.settings.sampling.prompts_per_shard
        parts = slices(range(len(self.prompts)), size)
        return run_parts(Shards(self.folder, name), parts, compute, self.progress)

    def _first_sums(self, _: int, part: Sequence[int]) -> pa.Table:
        """Sums over some prompts, [vocabulary]: memory does not grow with the prompts."""
        sums = np.zeros((len(_SUMS), self._known))
        for at in part:
            ours, theirs = (
                ReadPrompt.of(side, self.prompts[at]).first_nats[: self._known].double().numpy()
                for side in (self.pair.aligned, self.pair.reference)
            )
            sums += np.stack([ours - theirs, np.exp(ours), np.exp(theirs)])
        return pa.table({name: [row] for name, row in zip(_SUMS, sums, strict=True)})

    def _one(self, at: int, tokens: Ids) -> dict[str, np.ndarray]:
        found = {}
        ended = np.isin(tokens, sorted(self.pair.eos_ids))
        for side in ("aligned", "reference"):
            read = ReadPrompt.of(getattr(self.pair, side), self.prompts[at])
            budget = self.settings.sampling.token_budget
            ending = read.after(tokens.tolist(), self.ends[at], budget).numpy()
            found[f"{side}_first"] = read.first_nats.numpy()[tokens]
            found[f"{side}_end"] = np.where(ended, 0.0, ending)
        return found


_SUMS = ("ratio", "aligned", "reference")
_NATS = ("aligned_first", "aligned_end", "reference_first", "reference_end")
"In the order of OneTokenNats"
_SCORED = pa.schema([(name, pa.list_(pa.float32())) for name in _NATS])
