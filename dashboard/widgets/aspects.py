"""Declared aspects: what each is worth, how often it occurs, and the answers they miss."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.widgets.plain import PLOT, nats, table
from explain import figures
from explain.aspect_words import MEANING, aspect_warning, explained, not_priced
from explain.words import estimate
from irl.records import Aspect, AspectResidual, AuditReport

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_aspects(report: AuditReport, texts: Mapping[str, str]) -> None:
    """Forest, table and residuals.

    Args:
        report: the audit.
        texts: the answers that aspects explain worst, by response id; untrusted.
    """
    st.subheader("Aspects")
    if not report.aspects:
        st.text("None were declared.")
        return
    together = report.aspects_r2
    st.text(explained(None if together is None else estimate(together)))
    st.caption(MEANING)
    if warning := aspect_warning(report.verdict.readability):
        st.text(warning)
    if any(row.weight is not None for row in report.aspects):
        st.plotly_chart(
            figures.aspects_forest(report.aspects),
            config=PLOT,
            alt="What a standard deviation of each aspect is worth",
        )
    table([_row(one) for one in report.aspects], _columns(), height="content")
    _residuals(report.aspect_residuals, texts)


def _row(one: Aspect) -> dict[str, Any]:
    lost = one.drop_one_r2
    return {
        "name": one.name,
        "unit": one.unit,
        "weight": one.weight,
        "low": one.low,
        "high": one.high,
        "lost": None if lost is None else lost.value,
        "lost_low": None if lost is None else lost.low,
        "lost_high": None if lost is None else lost.high,
        "reference": one.reference_rate,
        "aligned": one.aligned_rate,
        "note": not_priced(one),
    }


def _columns() -> dict[str, Any]:
    return {
        "name": _text("aspect"),
        "weight": _number("weight, nats per unit", format="%+.3f"),
        "low": _number("low", format="%+.3f"),
        "high": _number("high", format="%+.3f"),
        "unit": _text("unit"),
        "lost": _number("R² lost", format="%.3f", help="Without this aspect, out of fold."),
        "lost_low": _number("low", format="%.3f"),
        "lost_high": _number("high", format="%.3f"),
        "reference": _number("reference", format="%.3f", help="Mean of a response, in the unit."),
        "aligned": _number("aligned", format="%.3f", help="Mean of a response, in the unit."),
        "note": _text("note"),
    }


def _residuals(rows: Sequence[AspectResidual], texts: Mapping[str, str]) -> None:
    if not rows:
        return
    with st.expander("Explained worst: read these"):
        st.caption(
            "Answers whose log-ratio the declared aspects miss most: what they share may be an "
            "aspect that nobody declared. Centred within the prompt."
        )
        shown = [row.model_dump() | {"text": texts.get(row.response_id)} for row in rows]
        columns = {
            "response_id": _text("response"),
            "log_ratio_nats": nats("log-ratio, nats"),
            "residual_nats": nats("unexplained, nats"),
            "text": _text("text", width="large"),
        }
        table(shown, columns, height="content")
