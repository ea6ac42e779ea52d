"""Preferences as pairs to learn from, with what is odd about them counted.

Pairs and groups are taken as they are labelled. Single labels (KTO, labelled texts) give pairs of a
higher and a lower label under one prompt, each response in at most one pair; where both labels are
the same, that is a tie and no pair. Texts without prompts count as answers to one empty prompt.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import codes
from irl.data import LabelledResponse
from irl.errors import InputError
from irl.policies.template import PromptText


@dataclass(frozen=True)
class Pairs:
    """Chosen and rejected answers to the same prompts."""

    chosen: list[str]
    rejected: list[str]
    prompts: list[PromptText]
    cluster: NDArray[np.int64]
    "the prompt; where that is empty, the row that states the preference"
    odd: dict[str, int]
    "how many there are of what may surprise"

    def __len__(self) -> int:
        return len(self.chosen)

    def at(self, which: NDArray[np.bool_]) -> "Pairs":
        """Some of the pairs."""
        here = np.flatnonzero(which)
        return Pairs(
            [self.chosen[at] for at in here],
            [self.rejected[at] for at in here],
            [self.prompts[at] for at in here],
            np.unique(self.cluster[here], return_inverse=True)[1],
            self.odd,
        )

    def flipped(self, wrong: NDArray[np.bool_]) -> "Pairs":
        """The same with some labels the wrong way round."""
        both = list(zip(self.chosen, self.rejected, wrong, strict=True))
        chosen = [worse if swap else better for better, worse, swap in both]
        rejected = [better if swap else worse for better, worse, swap in both]
        return Pairs(chosen, rejected, self.prompts, self.cluster, self.odd)


def pairs_of(rows: Sequence[LabelledResponse], seed: int = 0) -> Pairs:
    """All preferences that labelled rows state.

    Args:
        rows: what was read.
        seed: of the order in which single labels are paired.

    Raises:
        InputError: they state none.
    """
    paired = [row for row in rows if row.pair_id is not None]
    single = [row for row in rows if row.pair_id is None]
    groups: dict[tuple[str | None, str], list[LabelledResponse]] = {}
    for row in paired + single:
        groups.setdefault((row.pair_id, row.prompt_id), []).append(row)
    found: list[tuple[LabelledResponse, LabelledResponse]] = []
    odd: Counter[str] = Counter()
    generator = np.random.default_rng(seed)
    for (pair, _), members in groups.items():
        here = _couples(members) if pair is not None else _matched(members, generator)
        odd["ties"] += len(members) // 2 - len(here) if pair is None else 0
        found += here
    if not found:
        raise InputError(_no_preference(rows))
    usable = [(a, b) for a, b in found if a.response != b.response]
    odd["equal_texts"] = len(found) - len(usable)
    if not usable:
        raise InputError("In every pair both texts are the same; there is nothing to prefer.")
    odd["empty_responses"] = sum(not a.response or not b.response for a, b in usable)
    odd["contradictory"] = _contradictory(usable)
    prompts: list[PromptText] = [a.prompt for a, _ in usable]
    clusters = codes([a.cluster for a, _ in usable])
    chosen, rejected = [a.response for a, _ in usable], [b.response for _, b in usable]
    return Pairs(chosen, rejected, prompts, clusters, dict(odd))


def _couples(
    members: list[LabelledResponse],
) -> list[tuple[LabelledResponse, LabelledResponse]]:
    return [(a, b) for a in members for b in members if a.label > b.label]


def _matched(
    members: list[LabelledResponse], generator: np.random.Generator
) -> list[tuple[LabelledResponse, LabelledResponse]]:
    """The upper half of the labels against the lower half, in a drawn order; ties give none."""
    drawn = [members[at] for at in generator.permutation(len(members))]
    ranked = sorted(drawn, key=lambda row: -row.label)
    half = len(ranked) // 2
    both = zip(ranked[:half], ranked[::-1][:half], strict=True)
    return [(better, worse) for better, worse in both if better.label > worse.label]


def _contradictory(pairs: Sequence[tuple[LabelledResponse, LabelledResponse]]) -> int:
    """How many pairs are also labelled the other way round."""
    said = Counter((a.prompt_id, a.response, b.response) for a, b in pairs)
    return sum(n for (prompt, a, b), n in said.items() if (prompt, b, a) in said)


def _no_preference(rows: Sequence[LabelledResponse]) -> str:
    labels = {row.label for row in rows}
    if len(labels) == 1:
        return (
            f"All {len(rows)} labels are {labels.pop():g}: one class states no preference; give "
            "responses of both."
        )
    return "No prompt has two responses with different labels, so no preference is stated."
