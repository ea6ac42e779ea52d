"""What answers are paid, one payment after another, by the reward that their run has stored.

- Where the run has found words that change what others are worth (`irl.recovery.contexts`): every
  word in its place, so that "fool" after "no" is another thing than "fool".
- Else by its terms: words, phrases as phrases, and the price of every word, which is length.
- Where neither is at hand: what the tokens of each word hold in tokens.parquet, phrases shared
  among their words.

Each way the payments of an answer add up to its reward, but for the prompt's constant. No torch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from explain.tokens import Answer
from irl.data import Prompt
from irl.errors import InputError
from irl.recovery.contexts import CONTEXTS_FILE, Prices
from irl.rewards.conditions import TypedPrompt
from irl.rewards.term_table import TermTable
from irl.rewards.words import term_tokens

LENGTH: Final = ""
"Names the price of every word, whatever it is"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, SafetensorError, InputError)
_ROUNDING = 1e-5
"tokens.parquet holds single precision"


@dataclass(frozen=True)
class Payment:
    """One occurrence of what is paid for or charged for."""

    what: str
    "a word or phrase (untrusted), or LENGTH"
    nats: float
    after: tuple[str, ...] = ()
    "the words shortly before it that change its price"


@dataclass(frozen=True)
class Paid:
    """The payments of some answers to one prompt, all by one reward."""

    answers: list[list[Payment]]
    log_ratios_nats: list[float]
    "of the answers: what prices are fitted to"
    contexts: tuple[str, ...] = ()
    "words after which others are priced by themselves; empty where no price looks at its place"


@dataclass(frozen=True)
class Pricing:
    """The rewards that a run has stored, as far as they say what is paid where."""

    prices: Prices | None = None
    table: TermTable | None = None

    @classmethod
    def of(cls, run: Path) -> "Pricing":
        """What stands in the run's folder `reward`; what is missing or damaged is left out."""
        prices = table = None
        try:
            table = TermTable.load(run / "reward", "terms")
            prices = Prices.load(run / "reward" / CONTEXTS_FILE)
        except _DAMAGED:
            pass
        return cls(prices, table)

    def __call__(self, prompt: Prompt, answers: Sequence[Answer]) -> Paid:
        """The payments of answers to one prompt."""
        returns = [one.log_ratio_nats for one in answers]
        if self.prices is not None and self.prices.contexts:
            said = [in_context(one, self.prices) for one in answers]
            return Paid(said, returns, self.prices.contexts)
        asked = None if self.table is None else _asked(self.table, prompt, answers)
        if self.table is None or asked is None:
            return Paid([by_word(one) for one in answers], returns)
        return Paid([by_term(one, self.table, asked) for one in answers], returns)


def in_context(answer: Answer, prices: Prices) -> list[Payment]:
    """Every word in its place."""
    found = prices.in_place("".join(_pieces(answer)))
    return [Payment(word.text, nats, after) for word, after, nats in found]


def by_term(answer: Answer, table: TermTable, asked: TypedPrompt) -> list[Payment]:
    """Every occurrence of a term, and every word's own price."""
    return [Payment(term, nats) for term, nats, _ in table.payments(_pieces(answer), asked)]


def by_word(answer: Answer) -> list[Payment]:
    """Every word with what its tokens hold."""
    return [
        Payment(word, sum(answer.tokens[at].paid_for_nats or 0.0 for at in tokens))
        for word, tokens in term_tokens(_pieces(answer), (), every_word=True)
    ]


def _pieces(answer: Answer) -> list[str]:
    return ["" if token.special else token.text for token in answer.tokens]


def _asked(table: TermTable, prompt: Prompt, answers: Sequence[Answer]) -> TypedPrompt | None:
    """The prompt with a type by which the terms pay what tokens.parquet says, if there is one.

    The tables of a run do not name the types of prompts.
    """
    types = {one.prompt_type for one in table.conditional if one.prompt_type is not None}
    for kind in (None, *sorted(types)):
        asked = TypedPrompt.of(prompt, kind)
        if all(
            _same(table.paid_for(_pieces(one), asked), [t.paid_for_nats or 0.0 for t in one.tokens])
            for one in answers
        ):
            return asked
    return None


def _same(paid: Iterable[float], stored: Iterable[float]) -> bool:
    pairs = zip(paid, stored, strict=True)
    return all(isclose(a, b, rel_tol=_ROUNDING, abs_tol=_ROUNDING) for a, b in pairs)
