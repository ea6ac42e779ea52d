"""What differs between audits: figures, terms and aspects side by side.

Two values are said to be apart where their 95 % intervals do not overlap. That is strict: values
whose intervals overlap a little may differ too. A term that an audit does not report is not
worth 0 there: it was not told from 0, or never said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from explain.words import condition_in_words
from irl.records import AuditReport, Estimate

SCORERS = {"log_ratio": "log-ratio", "recovered": "recovered reward"}


@dataclass(frozen=True)
class Interval:
    """A value with its ends."""

    value: float
    low: float
    high: float
    n: int | None = None

    def __str__(self) -> str:
        told = f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}"
        return f"{told})" if self.n is None else f"{told}, n = {self.n})"


@dataclass(frozen=True)
class Compared:
    """One thing in every audit; None where it was not measured or reported."""

    name: str
    "untrusted, where it is a term or an aspect"
    values: tuple[Interval | None, ...]

    @property
    def apart(self) -> bool:
        """Whether any two intervals do not overlap."""
        told = [value for value in self.values if value is not None]
        return any(a.high < b.low or b.high < a.low for a, b in combinations(told, 2))

    @property
    def strongest(self) -> float:
        """The largest weight, whatever its sign."""
        return max((abs(one.value) for one in self.values if one is not None), default=0.0)


def compared_figures(reports: Sequence[AuditReport]) -> list[Compared]:
    """Everything that an audit measures as one number."""
    return _side_by_side([dict(_figures(report)) for report in reports])


def compared_terms(reports: Sequence[AuditReport]) -> list[Compared]:
    """Every reported term, those that are apart first, then by the largest weight."""
    terms = [
        {
            f"{term.term} {condition_in_words(term.condition)}".strip(): Interval(
                term.weight, term.low, term.high
            )
            for term in report.terms
        }
        for report in reports
    ]
    return sorted(_side_by_side(terms), key=lambda one: (not one.apart, -one.strongest))


def compared_aspects(reports: Sequence[AuditReport]) -> list[Compared]:
    """Every priced aspect, per unit."""
    aspects = [
        {
            f"{one.name}, per {one.unit}": Interval(one.weight, one.low, one.high)
            for one in report.aspects
            if one.weight is not None and one.low is not None and one.high is not None
        }
        for report in reports
    ]
    return _side_by_side(aspects)


def _figures(report: AuditReport) -> Iterator[tuple[str, Interval]]:
    verdict, fit, drift = report.verdict, report.fit, report.drift
    named: list[tuple[str, Estimate | None]] = [
        ("explained R², within prompts", verdict.explained_r2),
        ("explained movement, nats (sd)", verdict.explained_sd_nats),
    ]
    if fit is not None:
        named.append(("AUC of who wrote what, by the recovered reward", fit.membership_auc))
    if drift is not None:
        named.append(("KL(aligned ‖ reference), nats per response", drift.sequence_kl_nats))
        named.append(("KL(reference ‖ aligned), nats per response", drift.reverse_sequence_kl_nats))
    for row in report.accuracy:
        of = f"{SCORERS[row.scorer]} on {row.labels}"
        named.append((f"pairs ranked as labelled, {of}", row.preference))
        named.append((f"calibration error (ECE), {of}", row.ece))
    for name, value in named:
        if value is not None:
            yield name, Interval(value.value, value.low, value.high, value.n)


def _side_by_side(each: Sequence[Mapping[str, Interval]]) -> list[Compared]:
    names = dict.fromkeys(name for one in each for name in one)
    return [Compared(name, tuple(one.get(name) for one in each)) for name in names]
