"""Rewards of one pair by several methods and seeds, next to each other."""

from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from dashboard.widgets.address import choose
from dashboard.widgets.plain import PLOT, table, told
from explain import recovery_figures
from explain.method_rows import FIGURES, MethodRow

COMMAND: Final = "irl recover --aligned A --reference R --prompts prompts.jsonl --method METHOD"
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_methods(rows: Sequence[MethodRow]) -> None:
    """Every method's figures, one of them drawn, and every seed's."""
    st.subheader("Methods and seeds")
    st.caption(
        "What other methods recover from the same two checkpoints, on labels and on prompts that "
        "were held out. Of several seeds one is chosen before any label is read, never the best."
    )
    shown = [name for name in FIGURES if any(row.figures[name] for row in rows)]
    if shown:
        st.plotly_chart(
            recovery_figures.methods(rows, choose("Drawn", shown, "figure")),
            config=PLOT,
            alt="A figure of every method with its interval, and of every seed",
        )
    columns: dict[str, Any] = {name: _text(name) for name in ("method", "run", "reward")}
    columns["seeds"] = _number("seeds")
    columns |= {name: _text(name, width="medium") for name in shown}
    columns |= {name: _number(label, format="%.3f") for name, label in _SPREAD.items()}
    columns["flips"] = _number("seeds in reverse", format="percent")
    columns["status"] = _text("status", width="medium")
    table([_row(row, shown) for row in rows], columns, height="content")
    _seeds([row for row in rows if row.by_seed])
    if len(rows) < 2:
        st.caption("Another method on the same pair will stand beside it:")
        st.code(COMMAND, language=None)


_SPREAD: Final = {
    "mean": "mean of the seeds",
    "sd": "their standard deviation",
    "min": "least",
    "max": "greatest",
}
"Of the share of labelled pairs ranked right"


def _row(row: MethodRow, shown: Sequence[str]) -> dict[str, Any]:
    return {
        "method": row.method,
        "run": row.run,
        "reward": row.reward,
        "seeds": row.seeds,
        **{name: told(row.figures[name]) for name in shown},
        **{name: getattr(row, name) for name in _SPREAD},
        "flips": row.sign_flip_share,
        "status": row.status,
    }


def _seeds(rows: Sequence[MethodRow]) -> None:
    if not rows:
        return
    with st.expander("Seed by seed"):
        st.caption(
            "Each on the labels, and on the prompts that it held out, a fifth of them unless the "
            "settings say otherwise; agreement is the mean correlation with the other seeds."
        )
        seeds = [
            {
                "method": row.method,
                "run": row.run,
                "seed": one.seed,
                FIGURES[0]: told(one.heldout_accuracy),
                FIGURES[1]: told(one.membership_auc),
                FIGURES[2]: told(one.spearman_with_log_ratio),
                "agreement": one.agreement,
                "chosen": one.chosen,
            }
            for row in rows
            for one in row.by_seed
        ]
        columns: dict[str, Any] = {"method": _text("method"), "run": _text("run")}
        columns["seed"] = _number("seed")
        columns |= {name: _text(name) for name in FIGURES[:3]}
        columns["agreement"] = _number("agreement", format="%.3f")
        columns["chosen"] = st.column_config.CheckboxColumn("chosen")
        table(seeds, columns, height="content")
