"""Whether a reward may be believed, and which prompt to choose, as Plotly figures."""

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from explain.figures import ROW_PIXELS, framed, rows_named, safe_label, whiskers
from explain.shading import CHARGED, PAID, QUIET
from irl.records import ChoiceFigures, TriageCounts, TrustGroup

PLANE_PIXELS: Final = 360
LAMPS: Final = {
    "green": (PAID, "circle"),
    "amber": (QUIET, "square"),
    "red": (CHARGED, "diamond"),
}
"Told apart by shape, and by colours that colour-blind eyes keep apart"


def categories(counts: Sequence[TriageCounts]) -> go.Figure:
    """The share of the responses in each category of the triage, a row each."""
    shares = [one.share for one in counts]
    figure = go.Figure(
        go.Scatter(
            x=[share.value for share in shares],
            y=list(range(len(counts))),
            customdata=[
                [one.category, one.share.low, one.share.high, one.share.n, one.responses]
                for one in counts
            ],
            error_x=whiskers(shares, 1.5),
            mode="markers",
            marker={"color": PAID, "size": 9},
            hovertemplate="<b>%{customdata[0]}</b><br>%{x:.1%} (%{customdata[1]:.1%} to "
            "%{customdata[2]:.1%}), n = %{customdata[3]} prompts<br>%{customdata[4]} responses"
            "<extra></extra>",
        )
    )
    rows_named(figure, [one.category for one in counts])
    framed(figure, 110 + ROW_PIXELS * len(counts), "share of the responses")
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    return figure.update_layout(showlegend=False)


def plane_of_groups(groups: Sequence[TrustGroup]) -> go.Figure:
    """Groups of prompts by what members disagree on and what they agree is even (2311.14110)."""
    figure = go.Figure()
    for lamp, (colour, symbol) in LAMPS.items():
        told = [
            (one, one.measures.aleatoric, one.measures.epistemic)
            for one in groups
            if one.colour == lamp
        ]
        shown = [(one, x, y) for one, x, y in told if x is not None and y is not None]
        if not shown:
            continue
        figure.add_trace(
            go.Scatter(
                x=[x.value for _, x, _ in shown],
                y=[y.value for _, _, y in shown],
                error_x=whiskers([x for _, x, _ in shown], 1.0),
                error_y=whiskers([y for _, _, y in shown], 1.0),
                text=[safe_label(one.group) for one, _, _ in shown],
                customdata=[one.measures.prompts for one, _, _ in shown],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                name=lamp,
                hovertemplate="<b>%{text}</b><br>aleatoric %{x:.3f}, epistemic %{y:.4f}<br>"
                "%{customdata} prompts<extra></extra>",
            )
        )
    figure.update_yaxes(rangemode="tozero")
    return framed(figure, PLANE_PIXELS, "aleatoric variance", "epistemic variance")


def regrets(methods: Sequence[ChoiceFigures]) -> go.Figure:
    """What each method's choices lose against the oracle, a row each; the oracle loses nothing."""
    told = [(one.method, one.regret) for one in methods if one.regret is not None]
    figure = go.Figure()
    figure.add_vline(x=0, line_width=1, line_color=QUIET)
    figure.add_trace(
        go.Scatter(
            x=[regret.value for _, regret in told],
            y=list(range(len(told))),
            customdata=[[name, regret.low, regret.high, regret.n] for name, regret in told],
            error_x=whiskers([regret for _, regret in told], 1.5),
            mode="markers",
            marker={"color": PAID, "size": 9},
            hovertemplate="<b>%{customdata[0]}</b><br>%{x:.3f} (%{customdata[1]:.3f} to "
            "%{customdata[2]:.3f}), n = %{customdata[3]} queries<extra></extra>",
        )
    )
    rows_named(figure, [safe_label(name) for name, _ in told])
    framed(figure, 110 + ROW_PIXELS * len(told), "regret to the oracle")
    return figure.update_layout(showlegend=False)
