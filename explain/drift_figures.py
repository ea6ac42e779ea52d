"""How far a policy has moved, as Plotly figures of what was counted elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from explain.figures import LABEL_CHARACTERS, ROW_PIXELS, framed, rows_named, safe_label
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
