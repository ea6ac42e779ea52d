"""Why one answer beats another to the same prompt, in a sentence: by what its words are paid.

The difference of two answers' paid-for values is the sum over words of what the one earns with a
word and the other does not. It is a difference within a prompt, so the prompt's unknown constant is
not in it; how it is shared among the words of a paid phrase is a gauge.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

from explain.tokens import Answer
from explain.words import printable
from irl.rewards.words import term_tokens

MOST_REASONS = 4
LEAST_SHARE = 0.1
"Of the difference, for a word to be named"


@dataclass(frozen=True)
class Reason:
    """What a word adds to the difference."""

    word: str
    "untrusted"
    nats: float
    "for the first answer if above 0"
    first: int
    second: int
    "how often each answer says it"


def reasons(first: Answer, second: Answer) -> list[Reason]:
    """Words by what they add to the difference, the largest first; they add up to all of it."""
    ours, theirs = _by_word(first), _by_word(second)
    found = []
    for word in dict.fromkeys([*ours, *theirs]):
        (n, nats), (m, other) = ours.get(word, (0, 0.0)), theirs.get(word, (0, 0.0))
        found.append(Reason(word, nats - other, n, m))
    return sorted(found, key=lambda reason: -abs(reason.nats))


def why(first: Answer, second: Answer, names: tuple[str, str]) -> str:
    """The sentence; of the two answers it begins with the better one.

    Behind a word that one answer alone says stands what that answer is paid for it, behind one that
    both say what it adds for the better one.

    Args:
        first: one answer.
        second: another to the same prompt.
        names: what they are called, such as "aligned" and "reference".
    """
    found = reasons(first, second)
    total = sum(reason.nats for reason in found)
    if abs(total) < 0.005:
        return "What words are paid does not tell these two answers apart."
    if total < 0:
        return why(second, first, names[::-1])
    told = [reason for reason in found if abs(reason.nats) >= LEAST_SHARE * total][:MOST_REASONS]
    sides = [[r for r in told if r.nats > 0], [r for r in told if r.nats < 0]]
    sentence = f"By what words are paid, the {names[0]} answer is worth {total:.2f} nats more"
    if sides[0]:
        sentence += ": " + ", ".join(_told(reason, names) for reason in sides[0])
    if sides[1]:
        sentence += "; against it: " + ", ".join(_told(reason, names) for reason in sides[1])
    rest = total - sum(reason.nats for reason in told)
    if abs(rest) >= 0.005:
        sentence += f"; all other words together {rest:+.2f}"
    return sentence + "."


def _told(reason: Reason, names: tuple[str, str]) -> str:
    word = f"“{printable(reason.word)}”"
    if reason.first and reason.second:
        return f"{word} is said {reason.first} and {reason.second} times ({reason.nats:+.2f})"
    n = reason.first or reason.second
    often = "" if n == 1 else f" {n} times"
    who, paid = (names[0], reason.nats) if reason.first else (names[1], -reason.nats)
    return f"the {who} one says {word}{often} ({paid:+.2f})"


def _by_word(answer: Answer) -> dict[str, tuple[int, float]]:
    """How often an answer says each word, and what it is paid for it in all."""
    pieces = ["" if token.special else token.text for token in answer.tokens]
    counts: Counter[str] = Counter()
    nats: dict[str, float] = defaultdict(float)
    for word, tokens in term_tokens(pieces, (), every_word=True):
        counts[word] += 1
        nats[word] += sum(answer.tokens[at].paid_for_nats or 0.0 for at in tokens)
    return {word: (n, nats[word]) for word, n in counts.items()}
