"""A reward that is a whole language model: its body, and a linear score of the last position.

Members are stored stacked, [member, ...] for every weight, and run one after another through one
module (`torch.func.functional_call`), so the loop that fits heads fits them too. A penalty holds
them near the checkpoint that they start from (L2-SP, 1802.01483), not near 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from irl.config import Loading
from irl.policies.reward_model import Scorer, load_scorer
from irl.policies.template import PromptText, has_template
from irl.rewards.features import asked
from irl.rewards.heads import Features, Form, Head, Scores

GAP = -1
"Fills rows of token ids up to the longest"
_BATCH_TOKENS = 16384
"Of one forward pass where no gradient is asked for"


@dataclass(frozen=True, eq=False)
class TokenIds:
    """What a transformer reads: prompt and answer as token ids, one row each, filled with GAP."""

    scorer: Scorer
    chat: str = "auto"

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None = None
    ) -> Features:
        """Token ids of all texts after their prompts.

        Raises:
            InputError: no prompts were given.
        """
        rows = self.scorer.ids(asked(texts, prompts), texts, self.chat)
        tensors = [torch.tensor(row, dtype=torch.float32) for row in rows]
        return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=GAP)

    def __str__(self) -> str:
        return f"the tokens of {self.scorer.source}"

    @property
    def reads_chats(self) -> bool:
        """Whether prompts may be messages."""
        return has_template(self.scorer.tokenizer) and self.chat != "never"

    def save(self, _folder: Path, _name: str) -> dict[str, Any]:
        """The tokenizer is stored beside the weights; what they started from is named."""
        scorer = self.scorer
        began = {"base": scorer.source, "base_sha256": scorer.sha256}
        return {"features": "tokens", "chat": self.chat, **began}


class Transformer(Head):
    """Members of one architecture, all weights of their own."""

    def __init__(self, scorer: Scorer, weights: Sequence[Tensor]) -> None:
        """Members of a model with a score, by their weights in its order, [member, ...] each."""
        super().__init__()
        self._shared = [scorer]  # in a list: its own weights are no parameters of this head
        self.weights = nn.ParameterList(weights)

    @property
    def scorer(self) -> Scorer:
        """The module that all members run through; holds the weights they started from."""
        return self._shared[0]

    @classmethod
    def load(cls, folder: Path, name: str, document: dict[str, Any]) -> "Transformer":
        """What `save` stored, to the last bit."""
        names = [f"{name}-{member}" for member in range(document["members"])]
        scorers = [load_scorer(str(folder / one), Loading(), scored=True) for one in names]
        every = zip(*(scorer.parameters() for scorer in scorers), strict=True)
        return cls(scorers[0], [torch.stack(same).detach() for same in every])

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Write name-0/, name-1/ ..., each a reward model that others load too."""
        start = [weight.detach().clone() for weight in self.scorer.parameters()]
        for member in range(self.members):
            self._fill([weight[member] for weight in self.weights])
            self.scorer.save(folder / f"{name}-{member}")
        self._fill(start)
        return {"head": "transformer", "members": self.members}

    def holding(self, parameters: Sequence[Tensor]) -> "Transformer":
        """The same architecture and start with other members."""
        return Transformer(self.scorer, parameters)

    def squared_weights(self) -> Float[Tensor, " member"]:
        """Squared distance of each member from where it started."""
        pairs = zip(self.weights, self.scorer.parameters(), strict=True)
        moved = [(own - start.detach()).square().flatten(1).sum(1) for own, start in pairs]
        return torch.stack(moved).sum(0).cpu()

    def forward(self, features: Features) -> Scores:
        """Scores of every member, on the CPU."""
        return torch.stack([self._scores(member, features) for member in range(self.members)])

    def _scores(self, member: int, features: Features) -> Float[Tensor, " row"]:
        names = [name for name, _ in self.scorer.named_parameters()]
        weights = {name: own[member] for name, own in zip(names, self.weights, strict=True)}
        device = self.weights[0].device
        n = len(features) if torch.is_grad_enabled() else max(_BATCH_TOKENS // features.shape[1], 1)
        scores = []
        for rows in features.split(n):
            attention = rows != GAP
            there = slice(0, int(attention.sum(1).max()))
            ids = rows[:, there].clamp(min=0).long().to(device)
            given = (ids, attention[:, there].to(device))
            scores.append(functional_call(self.scorer, weights, given).cpu())
        return torch.cat(scores)

    @torch.no_grad()
    def _fill(self, weights: Sequence[Tensor]) -> None:
        for held, given in zip(self.scorer.parameters(), weights, strict=True):
            held.copy_(given)


def transformer(scorer: Scorer) -> Form:
    """Members that start as this model."""

    def form(members: int, _features: int, _generator: torch.Generator) -> Transformer:
        copies = [torch.stack([one.detach()] * members) for one in scorer.parameters()]
        return Transformer(scorer, copies)

    return form
