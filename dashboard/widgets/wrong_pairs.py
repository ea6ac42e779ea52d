"""Pairs of answers that a score ranks wrong, to be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import measured
from dashboard.widgets.address import choose
from dashboard.widgets.pages import open_page, turn_pages
from dashboard.widgets.plain import nats, table
from dashboard.widgets.told_apart import SCORES

_text = st.column_config.TextColumn


def show_wrong_pairs(run: Path, scores: Sequence[str]) -> None:
    """A page of them, the widest margins first.

    Args:
        run: the run folder.
        scores: those of SCORES that the run has.

    Raises:
        RunError: the run's responses cannot be read.
    """
    st.subheader("Read where it errs")
    score = choose("Ranked by the", list(reversed(scores)), "wrong", page=None)
    page = measured.wrong_pairs(run, SCORES[score], open_page())
    st.caption("The reference's answer has the higher score; the widest margins first.")
    columns: dict[str, Any] = {
        "margin": nats("margin, nats"),
        "prompt": _text("prompt", width="medium"),
        "aligned": _text("aligned", width="large"),
        "reference": _text("reference", width="large"),
    }
    table(page.rows, columns, height="content")
    turn_pages(page, "pairs")
