"""Why one answer beats another to the same prompt, in a sentence: by what they are paid.

The difference of two answers' rewards is the sum over words (or phrases, or words in their place)
of what the one earns with it and the other does not. It is a difference within a prompt, so the
prompt's unknown constant is not in it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from explain.payments import LENGTH, Paid, Payment
from explain.words import printable

MOST_REASONS = 7
LEAST_SHARE = 0.1
"Of all that speaks for either; what is less is named only while much is left unsaid"
REST = 0.2
"Of the difference, which may be left unsaid"
LEAST_NATS = 0.1
"Below it two answers are worth about the same: odds of 1.1 to 1"
LEAST_MISFIT_NATS = 1.0
"How far prices may be from the log-ratio, if not by half of it, before a reader is told"


@dataclass(frozen=True)
class Reason:
    """What a word, or whatever is paid, adds to the difference."""

    what: str
    "untrusted"
    after: tuple[str, ...]
    nats: float
    "for the first answer if above 0"
    first: int
    second: int
    "how often each answer says it"


def reasons(first: Sequence[Payment], second: Sequence[Payment]) -> list[Reason]:
    """What is paid by what it adds to the difference, the largest first; all of it in all."""
    tallies: defaultdict[tuple[str, tuple[str, ...]], list[list[float]]] = defaultdict(
        lambda: [[], []]
    )
    for side, payments in enumerate((first, second)):
        for one in payments:
            tallies[one.what, one.after][side].append(one.nats)
    found = [
        Reason(what, after, sum(ours) - sum(theirs), len(ours), len(theirs))
        for (what, after), (ours, theirs) in tallies.items()
    ]
    return sorted(found, key=lambda reason: -abs(reason.nats))


def why(paid: Paid, names: tuple[str, str]) -> str:
    """The sentence about two answers; it begins with the better one.

    Behind what one answer alone says stands what that answer is paid for it, behind what both say
    what it adds for the better one. Where the prices fit these two answers badly, it says so.

    Args:
        paid: what they are paid.
        names: what they are called, such as "aligned" and "reference".
    """
    found = reasons(*paid.answers)
    total = sum(reason.nats for reason in found)
    if total < 0:
        turned = Paid(paid.answers[::-1], paid.log_ratios_nats[::-1], paid.contexts)
        return why(turned, names[::-1])
    first, second = paid.log_ratios_nats
    if total < LEAST_NATS:
        sentence = (
            f"{_by(paid)}, these two answers are worth about the same ({total:.2f} nats apart)."
        )
    else:
        more = f"the {names[0]} answer is worth {total:.2f} nats more"
        sentence = f"{_by(paid)}, {more}{_because(found, total, names)}."
    unsaid = first - second - total
    if abs(unsaid) <= max(abs(first - second) / 2, LEAST_MISFIT_NATS):
        return sentence
    return (
        f"{sentence} But by log-ratio it is {first - second:+.2f} for the {names[0]} one: these "
        "prices fit these two answers badly."
    )


def _because(found: Sequence[Reason], total: float, names: tuple[str, str]) -> str:
    told = list(_named(found, total))
    said = ""
    for begins, sign in ((": ", 1), ("; against it, ", -1)):
        side = [reason for reason in told if reason.nats * sign > 0]
        said += begins + ", ".join(_clauses(side, names)) if side else ""
    rest = total - sum(reason.nats for reason in told)
    return said + (f"; all else together {rest:+.2f}" if abs(rest) >= 0.005 else "")


def _named(found: Sequence[Reason], total: float) -> Iterator[Reason]:
    """Enough of the largest; small ones only while much is left unsaid."""
    rest, least = total, LEAST_SHARE * sum(abs(reason.nats) for reason in found)
    for reason in found[:MOST_REASONS]:
        if abs(reason.nats) < least and abs(rest) <= REST * total:
            return
        rest -= reason.nats
        yield reason


def _clauses(side: Sequence[Reason], names: tuple[str, str]) -> Iterator[str]:
    """One for each answer that says something alone, one for each thing that both say."""
    for at, name in enumerate(names):
        own = [reason for reason in side if _sayer(reason) == at]
        if own:
            yield f"the {name} one says " + ", ".join(_said(reason) for reason in own)
    for reason in side:
        if reason.what == LENGTH:
            more = reason.first - reason.second
            longer = "longer" if more > 0 else "shorter"
            words = f"{abs(more)} words" if abs(more) > 1 else "a word"
            yield f"the {names[0]} one is {words} {longer} ({reason.nats:+.2f})"
        elif _sayer(reason) is None:
            yield (
                f"{_quoted(reason)} stands {_times(reason.first)} in the {names[0]} one and "
                f"{_times(reason.second)} in the {names[1]} one ({reason.nats:+.2f})"
            )


def _sayer(reason: Reason) -> int | None:
    """Which answer alone says it: 0, 1, or None."""
    if reason.what == LENGTH or (reason.first and reason.second):
        return None
    return 0 if reason.first else 1


def _said(reason: Reason) -> str:
    return f"{_quoted(reason)} ({reason.nats if reason.first else -reason.nats:+.2f})"


def _quoted(reason: Reason) -> str:
    """The word, how often if one answer alone says it, and what stands before it."""
    n = reason.first + reason.second
    often = f" {_times(n)}" if n > 1 and _sayer(reason) is not None else ""
    before = "".join(f" after “{printable(word)}”" for word in reason.after)
    return f"“{printable(reason.what)}”{often}{before}"


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def _by(paid: Paid) -> str:
    if not paid.contexts:
        return "By what words are paid"
    contexts = " or ".join(f"“{printable(word)}”" for word in paid.contexts)
    return f"With words after {contexts} priced by themselves"
