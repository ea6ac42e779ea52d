"""What happens in policy optimisation, and beyond it, as Plotly figures.

A reward is never drawn without the KL that it was bought with. Bands are 95 % intervals over
prompts; lines are told apart by dash and marker as well as by colour.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explain.figures import GRID, LEGEND, MARGIN, axis_title, diagonal, framed, safe_label, whiskers
from explain.shading import CHARGED, PAID, QUIET
from irl.records import (
    AlignStep,
    BestOfNReport,
    BestPoint,
    Estimate,
    PathPoint,
    ReliabilityBin,
)

CURVES_PIXELS: Final = 620
PLANE_PIXELS: Final = 420
RELIABILITY_PIXELS: Final = 340
CURVE_POINTS: Final = 60
MARKER_PIXELS: Final = 26
"Across, of the bin with most pairs"
RANDOM: Final = "random"
"How the controls of a path are named, before their number"
_BAND: Final = 0.15


@dataclass(frozen=True)
class _Line:
    """One line of estimates."""

    name: str
    colour: str
    dash: str
    symbol: str
    read: Callable[[AlignStep], Estimate | None]


_GAINS: Final = (
    _Line("reward that is optimised", PAID, "solid", "circle", lambda one: one.proxy),
    _Line("lowest quarter of the members", QUIET, "dash", "square", lambda one: one.lower),
    _Line("gold", CHARGED, "dot", "diamond", lambda one: one.gold),
)
_KL: Final = _Line("KL", PAID, "solid", "circle", lambda one: one.kl_nats)
_LENGTH: Final = _Line("tokens", QUIET, "longdash", "triangle-up", lambda one: one.length_tokens)
_ENTROPY: Final = _Line("entropy", CHARGED, "dot", "diamond", lambda one: one.entropy_nats)


def training_curves(steps: Sequence[AlignStep]) -> go.Figure:
    """Gains, KL, and length with entropy, over the steps; a dashed line where a warning was given.

    Args:
        steps: at least one look, in order.
    """
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, row_heights=[0.5, 0.25, 0.25], vertical_spacing=0.05
    )
    for row, lines in enumerate((_GAINS, (_KL,), (_LENGTH, _ENTROPY)), start=1):
        for line in lines:
            for trace in _traces(steps, line, legend=row != 2):
                figure.add_trace(trace, row=row, col=1)
    figure.add_hline(y=0, line_width=1, line_color=QUIET, row=1, col=1)
    for step in steps:
        if step.warnings:
            figure.add_vline(x=step.step, line_width=1, line_dash="dash", line_color=CHARGED)
    figure.update_xaxes(automargin=True, zeroline=False, showgrid=False)
    figure.update_yaxes(automargin=True, zeroline=False, showgrid=True, gridcolor=GRID, nticks=5)
    figure.update_yaxes(title=axis_title("gain, units of the reward"), row=1, col=1)
    figure.update_yaxes(title=axis_title("KL, nats"), rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title=axis_title("tokens, nats"), rangemode="tozero", row=3, col=1)
    figure.update_xaxes(title=axis_title("training step"), row=3, col=1)
    figure.update_layout(height=CURVES_PIXELS, margin=MARGIN, legend=LEGEND)
    return figure


def reward_over_kl(points: Sequence[PathPoint], *, gold: bool = False) -> go.Figure:
    """Every path through a pair on the reward-KL plane; dots are labelled by alpha on hover."""
    figure = go.Figure()
    for path in dict.fromkeys(point.path for point in points):
        here = [point for point in points if point.path == path]
        told = [(point, point.gold if gold else point.reward) for point in here]
        shown = [(point, value) for point, value in told if value is not None]
        figure.add_trace(_path(path, [one for one, _ in shown], [value for _, value in shown]))
    figure.add_hline(y=0, line_width=1, line_color=QUIET)
    gain = f"gain of {'gold' if gold else 'recovered reward'}"
    return framed(figure, PLANE_PIXELS, "KL(policy ‖ reference), nats per answer", gain)


def best_of_n(report: BestOfNReport) -> go.Figure:
    """Proxy and gold of the answer that a reward picks of n, over the KL that this costs at most.

    The dotted line is Gold = d (alpha - beta d), d = sqrt(KL) (2210.10760), where it was fitted.
    """
    figure = go.Figure()
    for name, colour, dash, symbol in (
        ("proxy", PAID, "solid", "circle"),
        ("gold", CHARGED, "dash", "diamond"),
    ):
        told = [(one, value) for one in report.points if (value := getattr(one, name)) is not None]
        if told:
            line = {"color": colour, "width": 2, "dash": dash}
            figure.add_trace(_picked(name, told, line, symbol))
    if report.form is not None and report.form.alpha and report.form.beta:
        alpha, beta = report.form.alpha.value, report.form.beta.value
        roots = np.linspace(0, max(one.kl_nats for one in report.points) ** 0.5, CURVE_POINTS)
        form = {"color": QUIET, "width": 1, "dash": "dot"}
        figure.add_trace(
            go.Scatter(
                x=(roots**2).tolist(),
                y=(roots * (alpha - beta * roots)).tolist(),
                mode="lines",
                line=form,
                name="gold, fitted",
                hoverinfo="skip",
            )
        )
    figure.add_hline(y=0, line_width=1, line_color=QUIET)
    gain = "gain over an answer picked blindly"
    return framed(figure, PLANE_PIXELS, "KL(best of n ‖ policy), nats, at most", gain)


def _picked(
    name: str,
    told: Sequence[tuple[BestPoint, Estimate]],
    line: Mapping[str, object],
    symbol: str,
) -> go.Scatter:
    values = [value for _, value in told]
    return go.Scatter(
        x=[one.kl_nats for one, _ in told],
        y=[value.value for value in values],
        customdata=[[one.n, value.low, value.high, value.n] for one, value in told],
        error_y=whiskers(values, 1.0),
        mode="lines+markers",
        line=line,
        marker={"size": 7, "symbol": symbol},
        name=name,
        hovertemplate=f"{name}, best of %{{customdata[0]}}<br>%{{y:.3f}} (%{{customdata[1]:.3f}} "
        "to %{customdata[2]:.3f}), n = %{customdata[3]}<extra></extra>",
    )


def reliability(bins: Sequence[ReliabilityBin]) -> go.Figure:
    """Share of pairs that were ranked right over what scores promised; the diagonal is ideal."""
    figure = go.Figure()
    most = max((one.n for one in bins), default=1)
    area = {"sizemode": "area", "sizeref": 2 * most / MARKER_PIXELS**2, "sizemin": 4}
    figure.add_trace(diagonal("as promised", 0.5))
    figure.add_trace(
        go.Scatter(
            x=[one.probability for one in bins],
            y=[one.share_right for one in bins],
            customdata=[one.n for one in bins],
            mode="markers",
            marker={"color": PAID, "size": [one.n for one in bins], **area},
            name="as it was; the larger, the more pairs",
            hovertemplate="promised %{x:.2f}<br>right %{y:.2f}<br>%{customdata} pairs"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(range=[0.48, 1.02])
    figure.update_yaxes(range=[min([0.4, *(one.share_right for one in bins)]) - 0.02, 1.02])
    given = "probability that the score gives its side"
    return framed(figure, RELIABILITY_PIXELS, given, "share of pairs ranked right")


def _traces(steps: Sequence[AlignStep], line: _Line, *, legend: bool) -> list[go.Scatter]:
    """The line and its band; none where nothing was measured."""
    told = [(one.step, value) for one in steps if (value := line.read(one)) is not None]
    if not told:
        return []
    at, values = [step for step, _ in told], [value for _, value in told]
    band = go.Scatter(
        x=at + at[::-1],
        y=[value.high for value in values] + [value.low for value in values][::-1],
        fill="toself",
        fillcolor=line.colour,
        line={"width": 0},
        mode="lines",
        opacity=_BAND,
        hoverinfo="skip",
        showlegend=False,
    )
    middle = go.Scatter(
        x=at,
        y=[value.value for value in values],
        customdata=[[value.low, value.high, value.n] for value in values],
        mode="lines+markers",
        line={"color": line.colour, "width": 2, "dash": line.dash},
        marker={"symbol": line.symbol, "size": 6},
        name=line.name,
        showlegend=legend,
        hovertemplate=f"{line.name}, step %{{x}}<br>%{{y:.3f}} (%{{customdata[0]:.3f}} to "
        "%{customdata[1]:.3f}), n = %{customdata[2]}<extra></extra>",
    )
    return [band, middle]


def _path(path: str, points: Sequence[PathPoint], values: Sequence[Estimate]) -> go.Scatter:
    control = path.startswith(RANDOM)
    colour, dash = (QUIET, "dash") if control else (PAID, "solid")
    if path == "logits":
        colour, dash = CHARGED, "dot"
    name = safe_label(path)
    return go.Scatter(
        x=[point.kl_nats.value for point in points],
        y=[value.value for value in values],
        customdata=[
            [point.alpha, value.low, value.high, value.n, point.kl_nats.low, point.kl_nats.high]
            for point, value in zip(points, values, strict=True)
        ],
        error_y=whiskers(values, 1.0),
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 7, "symbol": "circle-open" if control else "circle"},
        name=name,
        hovertemplate=f"{name}, alpha %{{customdata[0]:+.2f}}<br>gain %{{y:.3f}} "
        "(%{customdata[1]:.3f} to %{customdata[2]:.3f}), n = %{customdata[3]}<br>KL %{x:.3f} "
        "(%{customdata[4]:.3f} to %{customdata[5]:.3f})<extra></extra>",
    )
