"""Audits side by side as a Plotly forest: one row per term, one marker per audit."""

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from explain.comparison import Compared
from explain.figures import LABEL_CHARACTERS, framed, rows_named, safe_label, whiskers
from explain.shading import CHARGED, PAID, QUIET

MAX_ROWS: Final = 30
STYLES: Final = (
    (PAID, "circle"),
    (CHARGED, "diamond"),
    (QUIET, "square"),
    ("#8E6BBF", "triangle-up"),
)
"Of the audits, in their order; more cannot be told apart"
_ROW_PIXELS: Final = 30
_SPREAD: Final = 0.5
"Of a row, that its markers take"


def forests(rows: Sequence[Compared], audits: Sequence[str], title: str) -> go.Figure:
    """The first rows, in the order given.

    Args:
        rows: with as many values as there are audits.
        audits: their names; untrusted.
        title: of the axis.
    """
    shown = rows[:MAX_ROWS]
    figure = go.Figure()
    figure.add_vline(x=0, line_width=1, line_color=QUIET)
    for at, (name, (colour, symbol)) in enumerate(zip(audits, STYLES, strict=False)):
        shift = _SPREAD * (at / max(len(audits) - 1, 1) - 0.5) if len(audits) > 1 else 0.0
        told = [(row, one.values[at], one) for row, one in enumerate(shown)]
        here = [(row, value, one) for row, value, one in told if value is not None]
        figure.add_trace(
            go.Scatter(
                x=[value.value for _, value, _ in here],
                y=[row + shift for row, _, _ in here],
                error_x=whiskers([value for _, value, _ in here], 1.5),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8},
                name=safe_label(name),
                text=[
                    f"<b>{safe_label(one.name)}</b><br>{safe_label(name)}: {value}"
                    for _, value, one in here
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    rows_named(figure, [_label(one) for one in shown])
    return framed(figure, 120 + _ROW_PIXELS * len(shown), title)


def _label(one: Compared) -> str:
    label = safe_label(one.name, LABEL_CHARACTERS)
    return f"<b>{label}</b>" if one.apart else label
