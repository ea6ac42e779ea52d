"""How well rewards tell answers apart, as Plotly figures of what was counted elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from explain.figures import (
    LABEL_CHARACTERS,
    diagonal,
    framed,
    rows_named,
    safe_label,
    whiskers,
)
from explain.shading import CHARGED, PAID, QUIET
from irl.records import Estimate

PIXELS: Final = 420
LENGTH_PIXELS: Final = 340
ROW_PIXELS: Final = 34
_APART: Final = 0.16
"Of a row, between a marker and its middle"
_STYLES: Final = ((PAID, "solid", "circle"), (CHARGED, "dot", "diamond"))
Curve = tuple[Sequence[float], Sequence[float]]
"(fpr, tpr), both rising"


def roc(curves: Mapping[str, Curve]) -> go.Figure:
    """Aligned answers found over reference answers called so; the diagonal is chance."""
    figure = go.Figure()
    figure.add_trace(diagonal("chance", 0.0))
    for (name, (fpr, tpr)), (colour, dash, _) in zip(curves.items(), _STYLES, strict=False):
        figure.add_trace(
            go.Scatter(
                x=[0.0, *fpr],
                y=[0.0, *tpr],
                mode="lines",
                line={"color": colour, "dash": dash, "width": 2},
                name=name,
                hovertemplate=f"{name}<br>%{{y:.1%}} of aligned answers, %{{x:.1%}} of the "
                "reference's<extra></extra>",
            )
        )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(range=[-0.01, 1.01])
    return framed(
        figure, PIXELS, "share of the reference's answers", "share of the aligned policy's"
    )


def right_by_length(
    bins: Sequence[str], lines: Mapping[str, Sequence[Estimate | None]]
) -> go.Figure:
    """Share of pairs ranked right, by how much longer the aligned answer is."""
    figure = go.Figure()
    figure.add_hline(y=0.5, line_width=1, line_dash="dash", line_color=QUIET)
    for at, (name, values) in enumerate(lines.items()):
        colour, dash, symbol = _STYLES[at % len(_STYLES)]
        told = [(label, value) for label, value in zip(bins, values, strict=True) if value]
        figure.add_trace(
            go.Scatter(
                x=[label for label, _ in told],
                y=[value.value for _, value in told],
                customdata=[[value.low, value.high, value.n] for _, value in told],
                error_y=whiskers([value for _, value in told], 1.5),
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 8},
                name=name,
                hovertemplate=f"{name}, %{{x}}<br>%{{y:.3f}} (%{{customdata[0]:.3f}} to "
                "%{customdata[1]:.3f}), n = %{customdata[2]} prompts<extra></extra>",
            )
        )
    figure.update_xaxes(categoryorder="array", categoryarray=list(bins))
    longer = "tokens of the aligned answer less those of the reference's"
    return framed(figure, LENGTH_PIXELS, longer, "share of pairs ranked right")


def right_by_group(
    labels: Sequence[str], lines: Mapping[str, Sequence[Estimate | None]]
) -> go.Figure:
    """Share of pairs ranked right in each group of prompts, a row each.

    Args:
        labels: of the groups; untrusted.
        lines: by score, a share for each group.
    """
    figure = go.Figure()
    figure.add_vline(x=0.5, line_width=1, line_dash="dash", line_color=QUIET)
    for at, (name, values) in enumerate(lines.items()):
        colour, _, symbol = _STYLES[at % len(_STYLES)]
        told = [(row, value) for row, value in enumerate(values) if value]
        figure.add_trace(
            go.Scatter(
                x=[value.value for _, value in told],
                y=[row + _APART * (2 * at - len(lines) + 1) for row, _ in told],
                customdata=[[value.low, value.high, value.n] for _, value in told],
                error_x=whiskers([value for _, value in told], 1.5),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8},
                name=name,
                text=[safe_label(labels[row]) for row, _ in told],
                hovertemplate=f"{name}, %{{text}}<br>%{{x:.3f}} (%{{customdata[0]:.3f}} to "
                "%{customdata[1]:.3f}), n = %{customdata[2]} prompts<extra></extra>",
            )
        )
    rows_named(figure, [safe_label(label, LABEL_CHARACTERS) for label in labels])
    return framed(figure, 110 + ROW_PIXELS * len(labels), "share of pairs ranked right")
