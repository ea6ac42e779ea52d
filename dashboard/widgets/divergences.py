"""Both KL divergences of a pair."""

import streamlit as st

from dashboard.widgets.plain import estimate
from irl.records import Drift


def show_divergences(drift: Drift) -> None:
    """Both divergences, per response and per token."""
    with st.container(horizontal=True):
        estimate("KL(aligned ‖ reference), nats per response", drift.sequence_kl_nats, 2)
        estimate("the same, nats per token", drift.token_kl_nats, 4)
        estimate("KL(reference ‖ aligned), nats per response", drift.reverse_sequence_kl_nats, 2)
        estimate("the same, nats per token", drift.reverse_token_kl_nats, 4)
