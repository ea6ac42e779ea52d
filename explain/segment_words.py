"""What segments gain and are paid, in words."""

from collections.abc import Iterator

from explain.words import estimate, printable
from irl.records import SegmentGroup, SegmentsReport

OPENING_SHOWN = 24


def segments_summary(report: SegmentsReport) -> str:
    """Plain text; characters that a terminal would act on are escaped."""
    return "\n".join(printable(line) for line in _lines(report))


def _lines(report: SegmentsReport) -> Iterator[str]:
    opening = report.by == "delimiters"
    yield (
        f"Segments {report.run_id}: {report.segments} segments by {report.by} of "
        f"{report.responses} answers of {report.of_run}"
    )
    exact = "to the last bit" if not report.largest_gap_nats else "up to rounding"
    yield (
        f"  They add up to the log-ratio of each answer {exact} "
        f"(largest gap {report.largest_gap_nats:.1g} nats)."
    )
    yield "  Means of segments, nats, 95 % intervals over n prompts."
    yield ""
    name = "opens with" if opening else report.by
    yield f"{'answers':10} {name:{OPENING_SHOWN}} {'segments':>8}   {'value gained':37} paid for"
    for row in report.groups:
        shown = _short(row.name or "(before the first)") if opening else row.name
        yield _line(row, shown)
    yield ""
    yield from (f"{caveat.code}: {caveat.text}" for caveat in report.caveats)


def _line(row: SegmentGroup, name: str) -> str:
    gained, paid = (estimate(one, sign="+") for one in (row.value_gained_nats, row.paid_for_nats))
    return f"{row.source:10} {name:{OPENING_SHOWN}} {row.segments:8d}   {gained:37} {paid}"


def _short(name: str) -> str:
    return name if len(name) <= OPENING_SHOWN else name[: OPENING_SHOWN - 1] + "…"
