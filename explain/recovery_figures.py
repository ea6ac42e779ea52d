"""Recovered rewards against each other, against the truth, and over more prompts, in Plotly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explain.figures import (
    GRID,
    LABEL_CHARACTERS,
    LEGEND,
    MARGIN,
    axis_title,
    framed,
    rows_named,
    safe_label,
    whiskers,
)
from explain.method_rows import MethodRow
from explain.shading import CHARGED, PAID, QUIET
from irl.records import Contraction, Estimate

ROW_PIXELS: Final = 34
TRUTH_PIXELS: Final = 440
CONTRACTION_PIXELS: Final = 520
NOMINAL: Final = 0.95
_FAINT: Final = "rgba(42, 135, 196, 0.12)"
"PAID, where few answers lie"


@dataclass(frozen=True)
class Cells:
    """How many answers lie in each cell of a plane."""

    x: list[float]
    "middles of the columns"
    y: list[float]
    counts: list[list[int]]
    "[row, column]"


def methods(rows: Sequence[MethodRow], figure: str) -> go.Figure:
    """One figure of every method: the reward that was chosen, and faintly every seed's.

    Args:
        rows: at least one that has it.
        figure: one of `method_rows.FIGURES`.
    """
    told = [(row, value) for row in rows if (value := row.figures[figure]) is not None]
    seeds = [
        (at, one.seed, value)
        for at, (row, _) in enumerate(told)
        for one, value in row.of_each_seed(figure)
    ]
    drawn = go.Figure()
    drawn.add_trace(
        go.Scatter(
            x=[value.value for _, value in told],
            y=list(range(len(told))),
            error_x=whiskers([value for _, value in told], 2.0),
            mode="markers",
            marker={"color": PAID, "size": 10},
            name="the reward that was chosen",
            text=[_method_hover(row, value) for row, value in told],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    if seeds:
        drawn.add_trace(
            go.Scatter(
                x=[value.value for _, _, value in seeds],
                y=[at + 0.25 for at, _, _ in seeds],
                mode="markers",
                marker={"color": QUIET, "size": 7, "symbol": "circle-open"},
                name="each seed",
                text=[f"seed {seed}: {value.with_n('.3f')}" for _, seed, value in seeds],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    rows_named(drawn, [_label(row) for row, _ in told])
    return framed(drawn, 110 + ROW_PIXELS * len(told), figure)


def against_truth(cells: Cells, scorer: str) -> go.Figure:
    """Where answers lie in true reward and score, both centred within prompts.

    On the line a score is the true reward in full.
    """
    counts = np.array(cells.counts, dtype=float)
    shown = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
    figure = go.Figure(
        go.Heatmap(
            x=cells.x,
            y=cells.y,
            z=[[None if value != value else value for value in row] for row in shown.tolist()],
            customdata=cells.counts,
            colorscale=[[0, _FAINT], [1, PAID]],
            showscale=False,
            hovertemplate="true reward %{x:.2f}<br>score %{y:.2f}<br>%{customdata} answers"
            "<extra></extra>",
        )
    )
    ends = [max(min(cells.x), min(cells.y)), min(max(cells.x), max(cells.y))]
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=ends,
            mode="lines",
            line={"color": CHARGED, "width": 1.5, "dash": "dash"},
            name="score = true reward",
            hoverinfo="skip",
        )
    )
    within = "nats, less the mean of the prompt"
    return framed(figure, TRUTH_PIXELS, f"true reward / beta, {within}", f"{scorer}, {within}")


def contraction(rows: Sequence[Contraction]) -> go.Figure:
    """The posterior's variance over the number of prompts, and how often its intervals hold.

    Args:
        rows: of which the first is what was assumed before any answer.
    """
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06
    )
    prior, told = rows[0], rows[1:]
    prompts = [one.prompts for one in told]
    for trace in _variances(prior, told):
        figure.add_trace(trace, row=1, col=1)
    promised = [NOMINAL] * len(prompts)
    figure.add_trace(_line("as often as promised", prompts, promised, QUIET, "dash"), row=2, col=1)
    for name, values, colour, symbol in (
        ("what the other prompts say", [one.covered for one in told], PAID, "square"),
        ("the planted weight", [one.truth_covered for one in told], CHARGED, "diamond"),
    ):
        if any(values):
            figure.add_trace(_coverage(name, prompts, values, colour, symbol), row=2, col=1)
    figure.update_xaxes(type="log", tickvals=prompts, automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False, showgrid=True, gridcolor=GRID)
    figure.update_yaxes(
        type="log", dtick="D2", title=axis_title("total variance, nats²"), row=1, col=1
    )
    figure.update_yaxes(
        title=axis_title("share that holds"), range=[0, 1.04], nticks=5, row=2, col=1
    )
    figure.update_xaxes(title=axis_title("prompts"), row=2, col=1)
    figure.update_layout(height=CONTRACTION_PIXELS, margin=MARGIN, legend=LEGEND)
    return figure


def _variances(prior: Contraction, told: Sequence[Contraction]) -> list[go.Scatter]:
    prompts, last = [one.prompts for one in told], told[-1]
    falling = [last.trace * last.prompts / n for n in prompts]
    drawn = [
        _line("before any answer", prompts, [prior.trace] * len(prompts), QUIET, "dash"),
        _line("as one over the number of prompts", prompts, falling, QUIET, "dot"),
        _line("authors told by a coin", prompts, [one.coin_trace for one in told], CHARGED, "dash"),
    ]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [one.trace_high - one.trace for one in told],
        "arrayminus": [one.trace - one.trace_low for one in told],
        "thickness": 1.5,
        "width": 0,
    }
    hover = "%{y:.3g} nats² (%{customdata[0]:.3g} to %{customdata[1]:.3g} over "
    drawn.append(
        go.Scatter(
            x=prompts,
            y=[one.trace for one in told],
            error_y=spread,
            customdata=[[one.trace_low, one.trace_high, one.parts] for one in told],
            mode="lines+markers",
            line={"color": PAID, "width": 2},
            marker={"size": 8},
            name="posterior of the paid weights",
            hovertemplate=f"{hover}%{{customdata[2]}} parts), %{{x}} prompts<extra></extra>",
        )
    )
    return drawn


def _line(name: str, x: Sequence[int], y: Sequence[float], colour: str, dash: str) -> go.Scatter:
    """What something is held against."""
    return go.Scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": dash},
        name=name,
        hovertemplate=f"{name}<br>%{{y:.3g}}<extra></extra>",
    )


def _coverage(
    name: str,
    prompts: Sequence[int],
    values: Sequence[Estimate | None],
    colour: str,
    symbol: str,
) -> go.Scatter:
    told = [(n, value) for n, value in zip(prompts, values, strict=True) if value is not None]
    return go.Scatter(
        x=[n for n, _ in told],
        y=[value.value for _, value in told],
        error_y=whiskers([value for _, value in told], 1.5),
        customdata=[[value.low, value.high, value.n] for _, value in told],
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"symbol": symbol, "size": 8},
        name=f"holds {name}",
        hovertemplate="%{y:.2f} (%{customdata[0]:.2f} to %{customdata[1]:.2f}), "
        "n = %{customdata[2]}<extra></extra>",
    )


def _label(row: MethodRow) -> str:
    return f"{safe_label(row.method)}, {safe_label(row.run, LABEL_CHARACTERS)}"


def _method_hover(row: MethodRow, value: Estimate) -> str:
    return f"<b>{safe_label(row.method)}</b>, {safe_label(row.reward)}<br>{value.with_n('.3f')}"
