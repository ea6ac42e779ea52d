"""Terms that are paid for or charged for, with their intervals."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.widgets.plain import PLOT, nats, table
from explain import figures
from explain.words import condition_in_words
from irl.records import Term

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_terms(terms: list[Term]) -> None:
    """Forest and table."""
    st.subheader("Terms that are paid for or charged for")
    if not terms:
        st.text("No term's weight differs from 0.")
        return
    st.caption(
        "Weight with its 95 % interval by bootstrap over prompts, strongest first: by the end of "
        "the interval nearest to 0."
    )
    st.plotly_chart(
        figures.terms_forest(terms), config=PLOT, alt="Weights of terms with their intervals"
    )
    if any(term.condition for term in terms):
        st.caption("* under a condition, which the table names.")
    if len(terms) > figures.MAX_TERMS:
        st.caption(f"{len(terms) - figures.MAX_TERMS} weaker terms are in the table only.")
    with st.expander(f"All {len(terms)} terms as a table"):
        term_table(terms)


def term_table(terms: Sequence[Term]) -> None:
    """One row per term."""
    columns = {
        "term": _text("term"),
        "weight": nats("weight, nats"),
        "low": nats("low"),
        "high": nats("high"),
        "occurrences": _number("occurrences"),
        "condition": _text("condition"),
        "token_mean_nats": nats(
            "value gained, nats per token",
            "Plain average log-ratio of the term's own tokens: where the policy decided, not what "
            "is paid for.",
        ),
    }
    table([_row(term) for term in terms], columns)


def _row(term: Term) -> dict[str, Any]:
    return term.model_dump() | {"condition": condition_in_words(term.condition)}
