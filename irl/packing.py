"""Responses laid end to end in one row of tokens, each prompt once however many answer it.

1. Responses to one prompt form a group: its trunk is the prompt and the longest response, the
   others are branches that hold their own tokens only.
2. Groups go into rows of a token budget, longest trunk first. A group that does not fit goes on in
   the next row, where its prompt stands again.
3. The last token of a response predicts nothing that is asked for, and is left out.
4. Attention is all that couples tokens. It is done in blocks of runs of similar length: a token
   sees the prompt of its run and what stands before it in the run.

Nothing but attention and positions tells such a row from padded sequences, so what a model computes
is the same up to rounding; `irl.policies.packed` checks that it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from irl.tensors import Targets, TokenSequence

RowTokens = Int[Tensor, " token"]
RowIndices = Int[Tensor, " position"]
Runs = Int[Tensor, "run time"]
_SPARE = 1.25
"Padded area of a block of runs over its real area; attention is a small part of the work"


@dataclass(frozen=True)
class Run:
    """Consecutive tokens of a row, and the prompt before them if it stands elsewhere in the row."""

    start: int
    length: int
    prompt_start: int = 0
    prompt_length: int = 0

    @property
    def end_position(self) -> int:
        """Tokens from the beginning of the prompt to the end of the run."""
        return self.prompt_length + self.length


@dataclass(frozen=True)
class Block:
    """Runs of similar length, as rows of padded indices into the packed row."""

    queries: Runs
    "where the tokens of each run stand; 0 past its end"
    keys: Int[Tensor, "run key"]
    "where its prompt and its tokens stand, by position"
    real: Bool[Tensor, "run time"]
    "which queries are tokens of the run"
    offsets: Int[Tensor, " run"]
    "tokens of the prompt that stand elsewhere"

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Block":
        """Put runs side by side."""
        start, length, prompt, offset = torch.tensor(
            [(run.start, run.length, run.prompt_start, run.prompt_length) for run in runs]
        ).T[..., None]
        query = torch.arange(int(length.max()))
        key = torch.arange(int((offset + length).max()))
        here = (start + key - offset) * (key < offset + length)
        return cls(
            queries=(start + query) * (query < length),
            keys=torch.where(key < offset, prompt + key, here),
            real=query < length,
            offsets=offset.squeeze(1),
        )

    def to(self, device: torch.device) -> "Block":
        """The same block on another device."""
        tensors = (self.queries, self.keys, self.real, self.offsets)
        return Block(*(tensor.to(device) for tensor in tensors))

    @cached_property
    def stand_at(self) -> RowTokens:
        """Where the real queries stand in the row."""
        return self.queries[self.real]

    def plainly_causal(self, window: int | None) -> bool:
        """Whether query i sees exactly the keys 0 to i."""
        longest = self.keys.shape[1]
        return longest == self.queries.shape[1] and (window is None or longest <= window)

    def visible(self, window: int | None) -> Bool[Tensor, "run time key"]:
        """Which keys each query sees: those before it, the nearest `window` of them if given."""
        device = self.offsets.device
        query = self.offsets[:, None] + torch.arange(self.queries.shape[1], device=device)
        behind = query[..., None] - torch.arange(self.keys.shape[1], device=device)
        seen = behind >= 0
        return seen if window is None else seen & (behind < window)


@dataclass(frozen=True)
class Pack:
    """One row of tokens, and what is read off it."""

    ids: RowTokens
    positions: RowTokens
    "of each token within its sequence"
    runs: tuple[Run, ...]
    predicting: RowIndices
    "where in the row the target tokens are predicted from, response after response"
    targets: Targets
    members: tuple[int, ...]
    "whose responses these are: indices of sequences"
    lengths: tuple[int, ...]
    "tokens of each response"

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The runs, in blocks for attention."""
        return tuple(Block.of(runs) for runs in _similar(self.runs))


def packs(sequences: Sequence[TokenSequence], token_budget: int) -> Iterator[Pack]:
    """Rows of at most `token_budget` tokens that hold every response that is not empty.

    A prompt with one response may exceed the budget: it gets a row of its own. The rows are a
    function of the sequences and the budget alone.

    Raises:
        ValueError: a prompt is empty, so that nothing predicts the first token after it.
    """
    if not all(sequence.prompt_ids for sequence in sequences):
        raise ValueError("A response is predicted from what stands before it; a prompt is empty.")
    row = _Row(sequences)
    for group in _groups(sequences):
        opened = False
        for index in group:
            beside = row.tokens + _cost(sequences[index], opened)
            if row.members and beside > token_budget:
                yield row.pack()
                row, opened = _Row(sequences), False
            row.add(index, opened)
            opened = True
    if row.members:
        yield row.pack()


class _Row:
    """A row that is being filled."""

    def __init__(self, sequences: Sequence[TokenSequence]) -> None:
        self.sequences = sequences
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.runs: list[Run] = []
        self.predicting: list[int] = []
        self.targets: list[int] = []
        self.members: list[int] = []
        self.prompt_start = 0

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def add(self, index: int, opened: bool) -> None:
        """Add a response, and its prompt if the row does not end in the prompt's group."""
        prompt, response = self.sequences[index].prompt_ids, self.sequences[index].response_ids
        start, behind = self.tokens, len(prompt)
        own = response[:-1] if opened else prompt + response[:-1]
        if not opened:
            self.prompt_start = start
            self.runs.append(Run(start, len(own)))
        elif own:
            self.runs.append(Run(start, len(own), self.prompt_start, behind))
        first = behind if opened else 0
        self.ids += own
        self.positions += range(first, first + len(own))
        self.predicting.append(self.prompt_start + behind - 1)
        self.predicting += range(self.tokens - len(response) + 1, self.tokens)
        self.targets += response
        self.members.append(index)

    def pack(self) -> Pack:
        return Pack(
            ids=torch.tensor(self.ids),
            positions=torch.tensor(self.positions),
            runs=tuple(self.runs),
            predicting=torch.tensor(self.predicting),
            targets=torch.tensor(self.targets),
            members=tuple(self.members),
            lengths=tuple(len(self.sequences[index].response_ids) for index in self.members),
        )


def _cost(sequence: TokenSequence, opened: bool) -> int:
    return len(sequence.response_ids if opened else sequence) - 1


def _groups(sequences: Sequence[TokenSequence]) -> list[list[int]]:
    """Indices of the responses to each prompt, longest first."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for index, sequence in enumerate(sequences):
        if sequence.response_ids:
            by_prompt.setdefault(sequence.prompt_ids, []).append(index)
    groups = [
        sorted(group, key=lambda index: -len(sequences[index])) for group in by_prompt.values()
    ]
    return sorted(groups, key=lambda group: -len(sequences[group[0]]))


def _similar(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs with a prompt elsewhere apart from those without, each in blocks with little padding."""
    for apart in (False, True):
        block: list[Run] = []
        area = 0
        chosen = [run for run in runs if bool(run.prompt_length) == apart]
        for run in sorted(chosen, key=lambda run: -run.end_position):
            padded = block[0].end_position * (len(block) + 1) if block else 0
            if padded > _SPARE * (area + run.end_position):
                yield block
                block, area = [], 0
            block.append(run)
            area += run.end_position
        if block:
            yield block
