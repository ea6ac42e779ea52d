"""How far a policy has moved, as Plotly figures of what was counted elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go

from explain.figures import (
    LABEL_CHARACTERS,
    ROW_PIXELS,
    framed,
    rows_named,
    safe_label,
    whiskers,
)
from explain.shading import CHARGED, PAID, PERCENTILE, QUIET
from explain.tokens import visible
from irl.records import Estimate, TokenMove

PIXELS: Final = 340
MAP_PIXELS: Final = 460
PROMPT_CHARACTERS: Final = 90
NEUTRAL: Final = "#C8C8C8"
"Seen on light and on dark grounds"
MAX_TOKENS: Final = 30
_STYLES: Final = {
    "aligned": {"colour": PAID, "dash": "solid"},
    "reference": {"colour": CHARGED, "dash": "dot"},
}


def histogram(edges: Sequence[float], counts: Mapping[str, Sequence[int]]) -> go.Figure:
    """Shares of each policy's responses by log-ratio, as steps, so that both can be seen."""
    figure = go.Figure()
    for source, each in counts.items():
        total = max(sum(each), 1)
        style = _STYLES[source]
        figure.add_trace(
            go.Scatter(
                x=list(edges),
                y=[count / total for count in each] + [0.0],
                customdata=[*each, 0],
                mode="lines",
                line={
                    "color": style["colour"],
                    "dash": style["dash"],
                    "width": 2,
                    "shape": "hv",
                },
                name=f"answers of the {source} policy",
                hovertemplate="from %{x:+.2f} nats<br>%{y:.2%} of its answers (%{customdata})"
                "<extra></extra>",
            )
        )
    return _over_log_ratio(figure, "share of the policy's answers")


def ecdf(shares: Sequence[float], values: Mapping[str, Sequence[float]]) -> go.Figure:
    """Share of each policy's responses whose log-ratio is at most so much."""
    figure = go.Figure()
    for source, each in values.items():
        style = _STYLES[source]
        figure.add_trace(
            go.Scatter(
                x=list(each),
                y=list(shares),
                mode="lines",
                line={"color": style["colour"], "dash": style["dash"], "width": 2},
                name=f"answers of the {source} policy",
                hovertemplate="at most %{x:+.2f} nats<br>%{y:.1%} of its answers<extra></extra>",
            )
        )
    return _over_log_ratio(figure, "share of answers that do not exceed it")


def moved_tokens(tokens: Sequence[TokenMove]) -> go.Figure:
    """Mean log-ratios of tokens, the furthest moved first; the sign is told by shape as well."""
    shown = sorted(tokens, key=lambda one: -abs(one.mean_log_ratio_nats))[:MAX_TOKENS]
    figure = go.Figure()
    figure.add_vline(x=0, line_width=1, line_color=QUIET)
    for name, colour, symbol, more in (
        ("more likely", PAID, "circle", True),
        ("less likely", CHARGED, "diamond", False),
    ):
        rows = [at for at, one in enumerate(shown) if (one.mean_log_ratio_nats > 0) == more]
        if rows:
            figure.add_trace(_moved(name, shown, rows, {"color": colour, "symbol": symbol}))
    rows_named(figure, [safe_label(visible(one.token), LABEL_CHARACTERS) for one in shown])
    return framed(figure, 110 + ROW_PIXELS * len(shown), "value gained, nats per occurrence")


def _moved(
    name: str, shown: Sequence[TokenMove], rows: Sequence[int], marker: Mapping[str, str]
) -> go.Scatter:
    return go.Scatter(
        x=[shown[at].mean_log_ratio_nats for at in rows],
        y=list(rows),
        customdata=[[safe_label(visible(shown[at].token)), shown[at].n] for at in rows],
        mode="markers",
        marker={"size": 9, **marker},
        name=name,
        hovertemplate="<b>%{customdata[0]}</b><br>%{x:+.3f} nats, said %{customdata[1]} times"
        "<extra></extra>",
    )


def _over_log_ratio(figure: go.Figure, title: str) -> go.Figure:
    figure.add_vline(x=0, line_width=1, line_color=QUIET)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return framed(figure, PIXELS, "log-ratio of the response, nats", title)


def moved_groups(labels: Sequence[str], moved: Sequence[Estimate]) -> go.Figure:
    """Mean log-ratio of the aligned policy's answers to each group of prompts, a row each.

    Args:
        labels: of the groups; untrusted.
        moved: nats per answer.
    """
    names = [safe_label(label, LABEL_CHARACTERS) for label in labels]
    figure = go.Figure()
    figure.add_vline(x=0, line_width=1, line_color=QUIET)
    figure.add_trace(
        go.Scatter(
            x=[one.value for one in moved],
            y=list(range(len(moved))),
            customdata=[
                [safe_label(label), one.low, one.high, one.n]
                for label, one in zip(labels, moved, strict=True)
            ],
            error_x=whiskers(moved, 1.5),
            mode="markers",
            marker={"color": PAID, "size": 8},
            hovertemplate="<b>%{customdata[0]}</b><br>%{x:+.3f} nats (%{customdata[1]:+.3f} to "
            "%{customdata[2]:+.3f}), n = %{customdata[3]} prompts<extra></extra>",
        )
    )
    rows_named(figure, names)
    framed(figure, 110 + ROW_PIXELS * len(names), "mean log-ratio, nats per answer")
    return figure.update_layout(showlegend=False)


@dataclass(frozen=True)
class PromptPoint:
    """A prompt on the map."""

    place: tuple[float, float]
    prompt: str
    "as people write it down; untrusted"
    kl_nats: float
    "mean log-ratio of the aligned policy's answers to it"
    answers: int
    response_id: str
    "of one of them"


def map_of_prompts(points: Sequence[PromptPoint]) -> go.Figure:
    """Prompts by their words, coloured by drift; a point tells its prompt, and holds a response.

    The scale is symmetric, neutral at 0 and full at the 98th percentile, so that one odd prompt
    does not pale the rest.
    """
    nats = [point.kl_nats for point in points]
    full = float(np.percentile(np.abs(nats), PERCENTILE)) or 1.0
    marker = {
        "size": 8,
        "color": nats,
        "cmin": -full,
        "cmax": full,
        "colorscale": [(0.0, CHARGED), (0.5, NEUTRAL), (1.0, PAID)],
        "line": {"width": 0.5, "color": QUIET},
        "colorbar": {"title": {"text": "nats", "side": "top"}, "thickness": 12},
    }
    about = [
        [point.response_id, safe_label(point.prompt, PROMPT_CHARACTERS), point.answers]
        for point in points
    ]
    figure = go.Figure(
        go.Scattergl(
            x=[point.place[0] for point in points],
            y=[point.place[1] for point in points],
            customdata=about,
            mode="markers",
            marker=marker,
            unselected={"marker": {"opacity": 0.6}},
            hovertemplate="%{customdata[1]}<br>%{marker.color:+.2f} nats, %{customdata[2]} answers"
            "<extra></extra>",
        )
    )
    framed(figure, MAP_PIXELS, "first direction of words", "second direction of words")
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    return figure.update_layout(showlegend=False, dragmode="pan")
