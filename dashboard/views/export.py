"""Export: the audit as one page, its tables as CSV, its figures as SVG or PNG."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from dashboard import answers, loading, measured
from dashboard.widgets.run_choice import NO_AUDIT, choose_of
from explain import drift_figures, figures
from explain.report import render_run
from explain.spreadsheet import as_csv
from irl.errors import RunError
from irl.records import AuditReport

FORMATS: Final = ("svg", "png")
MOST_ROWS: Final = 20_000
"Of responses that go through the browser"


def render() -> None:
    """The page of the audit that the URL names, or the newest one."""
    audits = [run for run in loading.runs() if run.report is not None]
    run = choose_of(audits, "Export", NO_AUDIT)
    if run is None or run.report is None:
        return
    report = run.report
    st.title("Take it with you")
    _whole(run, report)
    _tables(run, report)
    _figures(run, report)


def _whole(run: loading.Run, report: AuditReport) -> None:
    st.subheader("The audit")
    st.caption("One page without a server, with every figure and caveat, for people and printers.")
    with st.container(horizontal=True):
        st.download_button(
            "report.html",
            partial(render_run, run.path, report),
            file_name=f"{report.run_id}.html",
            mime="text/html",
        )
        st.download_button(
            "report.json",
            report.to_json(),
            file_name=f"{report.run_id}.json",
            mime="application/json",
        )


def _tables(run: loading.Run, report: AuditReport) -> None:
    st.subheader("Tables, as CSV")
    with st.container(horizontal=True):
        for name, rows in _rows(report):
            st.download_button(
                name,
                partial(as_csv, rows),
                file_name=f"{report.run_id}-{name}.csv",
                mime="text/csv",
                disabled=not rows,
            )
        _responses(run, report)


def _rows(report: AuditReport) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    drift = report.drift
    yield "terms", [term.model_dump(mode="json") for term in report.terms]
    yield "aspects", [aspect.model_dump(mode="json") for aspect in report.aspects]
    yield "positions", [one.model_dump() for one in drift.by_position] if drift else []
    yield "tokens", [one.model_dump() for one in drift.top_tokens] if drift else []


def _responses(run: loading.Run, report: AuditReport) -> None:
    try:
        page = answers.responses(run.path)
    except RunError:
        return
    if page.n > MOST_ROWS:
        st.text(f"{page.n} responses: irl runs export {run.path} responses.csv")
        return
    st.download_button(
        "responses",
        partial(_all_responses, run),
        file_name=f"{report.run_id}-responses.csv",
        mime="text/csv",
    )


def _all_responses(run: loading.Run) -> str:
    return as_csv(answers.all_responses(run.path, MOST_ROWS))


def _figures(run: loading.Run, report: AuditReport) -> None:
    st.subheader("Figures")
    kind = st.segmented_control("As", FORMATS, default=FORMATS[0], required=True)
    st.caption("The camera at a figure's corner saves it.")
    for name, about, build in _drawn(run, report):
        button = {"format": kind, "filename": f"{report.run_id}-{name}", "scale": 2}
        config = {
            "displayModeBar": True,
            "displaylogo": False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": button,
        }
        st.text(about)
        st.plotly_chart(build(), config=config, alt=about, key=f"export {name}")


def _drawn(
    run: loading.Run, report: AuditReport
) -> Sequence[tuple[str, str, Callable[[], go.Figure]]]:
    found: list[tuple[str, str, Callable[[], go.Figure]]] = []
    if report.terms:
        found.append(("terms", "Weights of terms", partial(figures.terms_forest, report.terms)))
    if any(one.weight is not None for one in report.aspects):
        build = partial(figures.aspects_forest, report.aspects)
        found.append(("aspects", "What aspects are worth", build))
    if report.drift is not None:
        position = partial(figures.kl_by_position, report.drift.by_position)
        found.append(("positions", "Drift by position", position))
        moved = partial(drift_figures.moved_tokens, report.drift.top_tokens)
        found.append(("tokens", "Tokens that moved", moved))
    try:
        spread = measured.spread(run.path).histogram
    except RunError:
        return found
    if spread.counts:
        build = partial(drift_figures.histogram, spread.edges, spread.counts)
        found.append(("log-ratios", "Log-ratios of responses", build))
    return found
