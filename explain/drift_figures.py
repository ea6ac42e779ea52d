"""How far a policy has moved, as Plotly figures of what was counted elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from explain.figures import GRID, LABEL_CHARACTERS, ROW_PIXELS, axis_title, safe_label
from explain.shading import CHARGED, PAID, QUIET
from explain.tokens import visible
from irl.records import TokenMove

PIXELS: Final = 340
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
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[safe_label(visible(one.token), LABEL_CHARACTERS) for one in shown],
        range=[len(shown) - 0.4, -0.6],
        automargin=True,
        showgrid=True,
        gridcolor=GRID,
        zeroline=False,
    )
    figure.update_xaxes(
        title=axis_title("value gained, nats per occurrence"),
        automargin=True,
        zeroline=False,
        gridcolor=GRID,
    )
    figure.update_layout(
        height=110 + ROW_PIXELS * len(shown),
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        showlegend=True,
    )
    return figure


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
    figure.update_xaxes(
        title=axis_title("log-ratio of the response, nats"),
        automargin=True,
        zeroline=False,
        showgrid=True,
        gridcolor=GRID,
    )
    figure.update_yaxes(
        title=axis_title(title),
        automargin=True,
        zeroline=False,
        showgrid=True,
        gridcolor=GRID,
        tickformat=".0%",
        rangemode="tozero",
    )
    figure.update_layout(
        height=PIXELS,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        showlegend=True,
    )
    return figure
