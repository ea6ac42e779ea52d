"""Policy drift: how far a policy has moved, on which answers, tokens, prompts and checkpoints."""

from pathlib import Path
from typing import Any, Final, Literal

import streamlit as st

from dashboard import loading, measured
from dashboard.widgets.address import choose
from dashboard.widgets.divergences import show_divergences
from dashboard.widgets.moved_groups import show_moved_groups
from dashboard.widgets.pages import open_page, turn_pages
from dashboard.widgets.plain import PLOT, nats, table
from dashboard.widgets.prompt_map import show_prompt_map
from dashboard.widgets.run_choice import NO_AUDIT, choose_of
from dashboard.widgets.series import show_series
from explain import drift_figures, figures
from irl.errors import RunError
from irl.records import AuditReport, Drift, TokenMove

Shape = Literal["histogram", "ECDF"]
SHAPES: Final[tuple[Shape, ...]] = ("histogram", "ECDF")
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def render() -> None:
    """The page of the audit or series that the URL names, or the newest one."""
    moved = [run for run in loading.runs() if run.report is not None or loading.is_series(run)]
    run = choose_of(moved, "Policy drift", NO_AUDIT)
    if run is None:
        return
    if run.report is not None:
        _audited(run, run.report)
        return
    try:
        show_series(run)
    except RunError as error:
        st.text(str(error))


def _audited(run: loading.Run, report: AuditReport) -> None:
    st.title("How far the aligned policy has moved")
    if report.drift is None:
        st.text("This audit has not measured it: no answers of the policies were drawn.")
        return
    show_divergences(report.drift)
    _responses(run.path)
    _positions(report.drift)
    _tokens(report.drift.top_tokens)
    _prompts(run.path)
    show_moved_groups(run.path, report.objectives)
    show_prompt_map(run.path)


def _responses(run: Path) -> None:
    st.subheader("Response by response")
    st.caption(
        "Log-ratio, ln aligned / reference, of each policy's own responses. Its mean over aligned "
        "ones is the KL; where the two policies' curves part, the log-ratio tells who wrote what."
    )
    try:
        spread = measured.spread(run)
    except RunError as error:
        st.text(str(error))
        return
    if not spread.histogram.counts:
        st.text("No response has a log-ratio.")
        return
    if choose("Shown as", SHAPES, "shape") == "ECDF":
        figure = drift_figures.ecdf(spread.quantiles.shares, spread.quantiles.values)
    else:
        figure = drift_figures.histogram(spread.histogram.edges, spread.histogram.counts)
    st.plotly_chart(figure, config=PLOT, alt="Log-ratios of both policies' responses")


def _positions(drift: Drift) -> None:
    st.subheader("By position")
    st.caption(
        "Mean log-ratio of aligned answers by token position, and how many answers reach it; faint "
        f"where fewer than {figures.ENOUGH_ANSWERS:.0%} do."
    )
    st.plotly_chart(
        figures.kl_by_position(drift.by_position), config=PLOT, alt="Drift by token position"
    )


def _tokens(tokens: list[TokenMove]) -> None:
    st.subheader("Tokens that moved")
    if not tokens:
        st.text("None was measured.")
        return
    st.caption(
        "Mean log-ratio of a token wherever it was said: the value gained there, which says where "
        "the policy decided, not what is paid for."
    )
    st.plotly_chart(
        drift_figures.moved_tokens(tokens), config=PLOT, alt="Mean log-ratio of tokens that moved"
    )


def _prompts(run: Path) -> None:
    st.subheader("By prompt")
    try:
        page = measured.prompts(run, open_page())
    except RunError as error:
        st.text(str(error))
        return
    st.caption("Mean log-ratio of the aligned policy's answers to each prompt, furthest first.")
    columns: dict[str, Any] = {
        "prompt": _text("prompt", width="large"),
        "kl_nats": nats("nats per response"),
        "error_nats": _number(
            "standard error", format="%.2f", help="Of the mean, over the prompt's answers."
        ),
        "answers": _number("answers"),
        "tokens": _number("tokens per answer", format="%.1f"),
    }
    table(page.rows, columns, height="content")
    turn_pages(page, "prompts")
