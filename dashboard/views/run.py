"""One run: verdict and caveats first, then what is paid for, agreement, drift, responses."""

from pathlib import Path

import streamlit as st

from dashboard import answers, loading
from dashboard.selection import Selection
from dashboard.widgets.agreement import show_agreement
from dashboard.widgets.aspects import show_aspects
from dashboard.widgets.divergences import show_divergences
from dashboard.widgets.plain import table
from dashboard.widgets.run_choice import choose_run
from dashboard.widgets.terms import show_terms
from dashboard.widgets.verdict import show_gate, show_objectives, show_verdict
from explain.words import REWARDS
from irl.errors import RunError
from irl.records import AuditReport, Drift, Identifiability

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def render() -> None:
    """The page of the run that the URL names."""
    found = {run.name: run for run in loading.runs()}
    if not found:
        st.info("There is no run yet; the page Runs says how to make one.")
        return
    selection = Selection.from_query(st.query_params)
    examples = {name for name, run in found.items() if run.example}
    # Audits first: what is shown where nothing was chosen is one, if there is one.
    names = sorted(found, key=lambda name: found[name].report is None)
    name = choose_run(names, examples, selection)
    if name is None:
        return
    run = found[name]
    if run.problem is not None:
        _problem(run)
    if run.report is not None:
        _report(run.report, run.path)
    if loading.has_responses(run):
        st.caption("The page Attributions shows its responses, token by token.")
    _deletion(run)


def _deletion(run: loading.Run) -> None:
    if run.example:
        return
    with st.popover("Delete this run"):
        st.text(f"{run.path} and all that it holds will be gone for good.")
        if st.button("Delete it", type="primary"):
            try:
                loading.delete(run)
            except RunError as error:
                st.text(str(error))
                return
            st.query_params.clear()
            st.rerun()


def _problem(run: loading.Run) -> None:
    st.title(f"This run is {run.state}" if run.state != "finished" else "Not an audit")
    st.text(run.problem)
    st.code(str(run.path), language=None)


def _report(report: AuditReport, run: Path) -> None:
    show_verdict(report)
    show_objectives(report.objectives)
    show_gate(report.gate)
    show_terms(report.terms)
    show_aspects(report, answers.texts(run, [r.response_id for r in report.aspect_residuals]))
    show_agreement(report.accuracy)
    _left_open(report.identifiability)
    _drift(report.drift)


def _left_open(found: Identifiability | None) -> None:
    if found is None:
        return
    st.subheader("What the answers leave open")
    st.caption("Beside a constant of each prompt and the scale beta, which no answer tells.")
    if found.method_distances:
        st.caption(
            "Distance of rewards from each other, centred within prompts: 0 for the same up to "
            "scale, 0.71 for strangers, 1 for opposites."
        )
        rows = [
            {"reward": REWARDS.get(row.a, row.a), "and": REWARDS.get(row.b, row.b)}
            | {"distance": row.distance}
            for row in found.method_distances
        ]
        columns = {"reward": _text("reward"), "and": _text("and reward")}
        table(rows, {**columns, "distance": _number("distance", format="%.3f")}, height="content")
    if found.null_directions:
        with st.expander(
            f"{len(found.null_directions)} combinations of prices that are hardly told"
        ):
            rows = [
                {"words": ", ".join(row.terms), "share": row.share} for row in found.null_directions
            ]
            table(rows, {"words": _text("words"), "share": _number("share", format="%.4f")})


def _drift(drift: Drift | None) -> None:
    st.subheader("Drift")
    if drift is None:
        st.text("Not measured.")
        return
    show_divergences(drift)
    st.caption("The page Policy drift shows it response by response, by position and by prompt.")
