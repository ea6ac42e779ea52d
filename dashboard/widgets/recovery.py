"""A run of `irl recover`: what it fitted, to what, and what stands against it."""

import streamlit as st

from dashboard.widgets.plain import estimate, fact, sentences
from irl.records import RecoveryReport, WordsVerdict


def show_recovery(report: RecoveryReport) -> None:
    """What was recovered, and how well it stands in for the log-ratio."""
    found = report.recovery
    with st.container(horizontal=True, gap="medium"):
        fact("reward", report.reward)
        if found is not None:
            fact("method", found.method)
            fact("seeds", str(found.seeds))
        if report.aligned is not None and report.reference is not None:
            fact("aligned", report.aligned.source)
            fact("reference", report.reference.source)
        if found is not None:
            fact("status", found.status)
    with st.container(horizontal=True):
        estimate("R² of the log-ratio", report.fit.r2, 2)
        estimate("AUC of who wrote what", report.fit.membership_auc, 2)
        estimate("Spearman with the log-ratio", report.fit.spearman_with_log_ratio, 2)
    _words(report.words)
    sentences("What stands against it", list(report.caveats))


def _words(words: WordsVerdict | None) -> None:
    if words is None:
        return
    judged = "are an objective" if words.objective else "are not enough for an objective"
    st.subheader("Its strongest words")
    st.text(f"{', '.join(words.terms) or 'none'}: on other prompts they {judged}.")
    with st.container(horizontal=True):
        estimate("explained R²", words.r2, 2)
        estimate("movement, nats", words.sd_nats, 2)
