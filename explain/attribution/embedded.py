"""An exchange as input embeddings, and a scalar of them: what gradients can reach.

The neutral text x0 that a path starts from keeps every special token (the end of the response, what
a chat template writes), so a model that reads its score at the last token still does; all other
tokens become a comma. A token of the vocabulary, not a mean or a zero vector: between embeddings
that the model knows, the path is smooth enough for a few dozen steps, while near zero its
normalisation makes the gradient explode (on the bundled pair 512 steps do not suffice from zero,
32 to 64 from a comma). Never the pad token, whose embedding no training has touched.

What a gradient sees of a log-ratio is the reading of tokens: the response that is scored stays as
it is, while what its tokens are predicted from moves to x0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from explain.targets import Exchange, encode_exchanges
from irl.config import Chat
from irl.errors import InputError, PolicyError
from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy
from irl.policies.reward_model import Scorer
from irl.policies.spans import Span, Tokenizer, token_spans
from irl.policies.template import as_chat
from irl.scoring import token_nats
from irl.tensors import TokenSequence

NEUTRAL = (",", ".", " the", " a", " and", " of", " to", " it", " is")
"""Texts whose first tokens say nothing; the comma makes x0, all of them those of GradientSHAP"""
TOKEN_BUDGET = 4096
"Tokens of the steps on a path that go through the models at once"
Embedding = Float[Tensor, "row time hidden"]
Ids = Int[Tensor, "row time"]


@dataclass(frozen=True)
class Embedded:
    """One exchange, ready for gradients."""

    scalar: nn.Module
    "(*embeddings) -> [row]; one input for each model"
    embedders: tuple[nn.Module, ...]
    "token ids to the embeddings of each model"
    ids: Ids
    "of the exchange, one row"
    tokens: list[Span | None]
    "where each token stands; None for special ones"
    neutral_ids: tuple[int, ...]
    "tokens that say nothing, the most neutral one first"

    @property
    def inputs(self) -> tuple[Embedding, ...]:
        """The exchange."""
        return self._embedded(self.ids)

    @property
    def baselines(self) -> tuple[Embedding, ...]:
        """The neutral text x0."""
        return self._embedded(self._replaced(torch.full_like(self.ids, self.neutral_ids[0])))

    def at_once(self, token_budget: int) -> int:
        """How many copies of the exchange fit into one pass."""
        return max(token_budget // self.ids.shape[1], 1)

    def neutral_texts(self, rows: int, generator: torch.Generator) -> tuple[Embedding, ...]:
        """Texts in which every token but the special ones is a random neutral one."""
        choices = torch.randint(
            len(self.neutral_ids), (rows, self.ids.shape[1]), generator=generator
        )
        return self._embedded(self._replaced(torch.tensor(self.neutral_ids)[choices]))

    def _replaced(self, by: Ids) -> Ids:
        special = torch.tensor([span is None for span in self.tokens])
        return torch.where(special, self.ids, by)

    @torch.no_grad()
    def _embedded(self, ids: Ids) -> tuple[Embedding, ...]:
        devices = [next(embedder.parameters()).device for embedder in self.embedders]
        pairs = zip(self.embedders, devices, strict=True)
        return tuple(embedder(ids.to(device)).detach().float() for embedder, device in pairs)


Embed = Callable[[Exchange], Embedded]
"A differentiable target"


def embedded_log_ratio(pair: PolicyPair, chat: Chat = "auto") -> Embed:
    """The summed log-ratio of a response as a function of both policies' input embeddings, nats.

    Raises:
        InputError: (when called) an exchange cannot be read or is too long.
        PolicyError: (when called) no token can be placed in the text.
    """
    sides = (pair.aligned, pair.reference)
    reader = _Reader.of([side.body for side in sides], pair.tokenizer, chat)

    def embed(exchange: Exchange) -> Embedded:
        (sequence,) = encode_exchanges(pair, [exchange], chat)
        scalar = _Difference(*(_ResponseNats(side, sequence) for side in sides))
        return reader.embedded(scalar, exchange, sequence)

    return embed


def embedded_score(model: Scorer, chat: Chat = "auto") -> Embed:
    """The score of a stored reward model as a function of its input embeddings, in its units.

    Raises:
        InputError: (when called) an exchange cannot be read or is too long.
        PolicyError: (when called) no token can be placed in the text.
    """
    reader = _Reader.of([model.model.base_model], model.tokenizer, chat)

    def embed(exchange: Exchange) -> Embedded:
        (sequence,) = model.sequences([exchange.prompt], [exchange.response], chat)
        (row,) = model.ids([exchange.prompt], [exchange.response], chat)
        if len(row) < len(sequence):
            raise InputError(
                f"A prompt with its response is {len(sequence)} tokens long, but {model.source} "
                f"reads {len(row)}; shorten it."
            )
        return reader.embedded(_LastScore(model), exchange, sequence)

    return embed


@dataclass(frozen=True)
class _Reader:
    """What all exchanges before the same models share."""

    embedders: tuple[nn.Module, ...]
    tokenizer: Tokenizer
    chat: Chat
    neutral_ids: tuple[int, ...]

    @classmethod
    def of(cls, bodies: Sequence[nn.Module], tokenizer: Tokenizer, chat: Chat) -> "_Reader":
        pieces = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in NEUTRAL]
        neutral = dict.fromkeys(int(piece[0]) for piece in pieces if piece)
        return cls(tuple(map(embedder_of, bodies)), tokenizer, chat, tuple(neutral))

    def embedded(self, scalar: nn.Module, exchange: Exchange, sequence: TokenSequence) -> Embedded:
        """An exchange and the scalar of it."""
        prompt = as_chat(exchange.prompt, self.chat)
        spans = token_spans(self.tokenizer, prompt, exchange.response, sequence)
        ids = torch.tensor([[*sequence.prompt_ids, *sequence.response_ids]])
        return Embedded(scalar, self.embedders, ids, spans, self.neutral_ids)


class _ResponseNats(nn.Module):
    """The summed log-probability of fixed response tokens under one policy, nats."""

    def __init__(self, policy: Policy, sequence: TokenSequence) -> None:
        super().__init__()
        self.body, self._policy = policy.body, [policy]
        self.unembedding = policy.model.get_output_embeddings()  # so that its weights are ours too
        self._targets = torch.tensor(sequence.response_ids, device=policy.device)
        self._start = len(sequence.prompt_ids) - 1

    def forward(self, embeddings: Embedding) -> Float[Tensor, " row"]:
        (policy,), rows = self._policy, len(embeddings)
        with policy.active():
            output = self.body(
                inputs_embeds=embeddings.to(_dtype(self.body)),
                attention_mask=embeddings.new_ones(embeddings.shape[:2], dtype=torch.long),
                use_cache=False,
            )
            hidden = output.last_hidden_state[:, self._start : -1].flatten(0, 1)
            nats = token_nats(hidden, self._targets.repeat(rows), policy.head)
        return nats.view(rows, -1).sum(1)


class _Difference(nn.Module):
    """A scalar of the first input less one of the second."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, first: Embedding, second: Embedding) -> Float[Tensor, " row"]:
        difference: Tensor = self.one(first) - self.other(second)
        return difference


class _LastScore(nn.Module):
    """A reward model's score, read at the last position."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.body, self.score = scorer.model.base_model, scorer.score

    def forward(self, embeddings: Embedding) -> Float[Tensor, " row"]:
        hidden = self.body(
            inputs_embeds=embeddings.to(_dtype(self.body)),
            attention_mask=embeddings.new_ones(embeddings.shape[:2], dtype=torch.long),
            use_cache=False,
        ).last_hidden_state
        scores: Tensor = self.score(hidden[:, -1]).squeeze(-1)
        return scores.float()


def _dtype(body: nn.Module) -> torch.dtype:
    """That of the weights; embeddings stay float32 outside, so that small steps count."""
    return next(body.parameters()).dtype


def embedder_of(body: nn.Module) -> nn.Module:
    """What turns token ids into the embeddings that a body reads.

    Raises:
        PolicyError: the architecture does not show it.
    """
    embedder = getattr(body, "get_input_embeddings", lambda: None)()
    if not isinstance(embedder, nn.Module):
        raise PolicyError("This architecture shows no input embeddings; gradients cannot start.")
    return embedder
