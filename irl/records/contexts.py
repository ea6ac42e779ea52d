"""What the words before a word do to its price."""

from irl.records.base import Estimate, Record


class ContextPrice(Record):
    """A word that is worth something else where another word stands shortly before it."""

    context: str
    word: str
    weight: float
    "of the word in this context, nats per occurrence"
    low: float
    high: float
    alone: float
    "of the word elsewhere, nats per occurrence"
    alone_low: float
    alone_high: float
    occurrences: int
    "in this context"


class Contexts(Record):
    """Prices in context against prices of words alone, on prompts neither was fitted to."""

    words_r2: Estimate | None
    context_r2: Estimate | None
    gain_r2: Estimate | None
    contexts: list[str]
    "the words that change what others are worth; empty where they gain nothing for certain"
    prices: list[ContextPrice]
    "that differ from the price elsewhere for certain, furthest from it first"
