"""report.html: the audit on one self-contained page, for people.

Everything that comes from a model or a file is untrusted text: jinja2 escapes all of it.
"""

import json

from jinja2 import Environment, PackageLoader, StrictUndefined

from irl.records import AuditReport, Estimate

_ENVIRONMENT = Environment(
    loader=PackageLoader("explain"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
MISSING = "not measured"


def render(report: AuditReport) -> str:
    """The page as one string; it loads nothing from outside."""
    template = _ENVIRONMENT.get_template("report.html.j2")
    return template.render(
        report=report,
        estimate=estimate,
        found=found_in_words(report.verdict.objective_found),
        settings=json.dumps(report.settings, indent=1, ensure_ascii=False),
        widest=max((abs(term.weight) for term in report.terms), default=1.0) or 1.0,
    )


def estimate(value: Estimate | None, digits: int = 3) -> str:
    """A number with its interval and n, or "not measured"."""
    if value is None:
        return MISSING
    return (
        f"{value.value:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f}, "
        f"n = {value.n})"
    )


def found_in_words(found: bool | None) -> str:
    """The verdict's answer in words."""
    return {None: "not decided", True: "an objective was found", False: "no objective"}[found]
