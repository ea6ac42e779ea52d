"""report.html: the audit on one self-contained page, for people."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from explain.aspect_words import MEANING, aspect_warning, explained, not_priced
from explain.context_words import told_contexts
from explain.exhibit import Exhibit, read_exhibit, read_texts
from explain.figures import (
    ENOUGH_ANSWERS,
    MAX_TERMS,
    aspects_forest,
    kl_by_position,
    terms_forest,
)
from explain.page import page
from explain.shading import NAMES, gradient, shade
from explain.words import KINDS, READABILITY, REWARDS, condition_in_words, estimate
from irl.errors import RunError
from irl.records import AuditReport
from irl.runs import read_record

UNMEASURED: Final = "not-measured-"
"How the codes of caveats about missing figures begin"
TABLE_TERMS: Final = 60
TABLE_CONTEXTS: Final = 15


def render(
    report: AuditReport,
    exhibit: Exhibit | None = None,
    texts: Mapping[str, str] | None = None,
) -> str:
    """The page as one string; it loads nothing from outside.

    Args:
        report: the audit.
        exhibit: a pair of answers to show, if there is one.
        texts: the answers that aspects explain worst, by response id, where they were kept.
    """
    caveats = report.verdict.caveats
    missing = [row for row in caveats if row.code.startswith(UNMEASURED)]
    return page(
        "report.html.j2",
        _figures(report),
        report=report,
        exhibit=exhibit,
        texts=texts or {},
        caveats=[row for row in caveats if row not in missing],
        missing=missing,
        settings=json.dumps(report.settings, indent=1, ensure_ascii=False),
        **_WORDS,
    )


def render_run(run: Path, report: AuditReport | None = None) -> str:
    """The page of a run folder, with what its tables hold.

    Args:
        run: the folder.
        report: its report; None reads report.json.

    Raises:
        RunError: its report.json is missing or damaged.
    """
    report = report or read_record(run / "report.json", AuditReport)
    worst = [row.response_id for row in report.aspect_residuals]
    return render(report, exhibit_if_any(run), read_texts(run, worst))


def exhibit_if_any(run: Path) -> Exhibit | None:
    """The exhibit of a run folder; None where its tables cannot give one."""
    try:
        return read_exhibit(run)
    except RunError:
        return None


def found_in_words(found: bool | None) -> str:
    """The verdict's answer in words."""
    return {None: "not decided", True: "found", False: "none found"}[found]


def _figures(report: AuditReport) -> dict[str, go.Figure]:
    """The figures of the page, by name."""
    drawn = {}
    if report.terms:
        drawn["terms"] = terms_forest(report.terms)
    if any(row.weight is not None for row in report.aspects):
        drawn["aspects"] = aspects_forest(report.aspects)
    if report.drift is not None and report.drift.by_position:
        drawn["positions"] = kl_by_position(report.drift.by_position)
    return drawn


_WORDS: Final[dict[str, Any]] = {
    "estimate": estimate,
    "found_in_words": found_in_words,
    "condition_in_words": condition_in_words,
    "shade": shade,
    "gradient": gradient(),
    "kinds": KINDS,
    "readability": READABILITY,
    "colours": NAMES,
    "scorers": {"log_ratio": "log-ratio", "recovered": "recovered reward"},
    "rewards": REWARDS,
    "meaning": MEANING,
    "aspect_warning": aspect_warning,
    "not_priced": not_priced,
    "explained": explained,
    "max_terms": MAX_TERMS,
    "table_terms": TABLE_TERMS,
    "told_contexts": told_contexts,
    "table_contexts": TABLE_CONTEXTS,
    "enough_answers": ENOUGH_ANSWERS,
}
"What the template calls its words and helpers by"
