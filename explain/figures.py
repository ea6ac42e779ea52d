"""Records to Plotly figures. Plain functions, for the page and the dashboard alike.

Colours stay apart for colour-blind eyes and on light and dark grounds; sign is also told by the
marker's shape. Plotly reads tags such as <a> and <b> in labels, so untrusted text is escaped.
"""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explain.shading import CHARGED, PAID, QUIET
from explain.words import condition_in_words, printable
from irl.records import Aspect, PositionKL, Term

GRID: Final = "rgba(128, 128, 128, 0.2)"
MAX_TERMS: Final = 30
LABEL_CHARACTERS: Final = 28
ROW_PIXELS: Final = 26
TITLE_SIZE: Final = 13
POSITIONS_PIXELS: Final = 380
UNDECIDED: Final = "not told from 0"
ENOUGH_ANSWERS: Final = 0.05
"Share of the answers that must reach a position for its mean to be drawn in full"


@dataclass(frozen=True)
class Row:
    """One row of a forest: a point with its interval. Labels are safe for Plotly."""

    label: str
    hover: str
    value: float
    low: float
    high: float


def terms_forest(terms: Sequence[Term], limit: int = MAX_TERMS) -> go.Figure:
    """Weights of the first terms with their intervals, one row each, in the order given."""
    rows = [
        Row(_label(term), _hover(term), term.weight, term.low, term.high) for term in terms[:limit]
    ]
    return _forest(rows, "nats per occurrence (reward / beta)")


def aspects_forest(aspects: Sequence[Aspect]) -> go.Figure:
    """What a standard deviation of each priced aspect is worth, in the order given.

    Units differ from aspect to aspect, so weights as they are cannot share an axis.
    """
    return _forest(list(_aspect_rows(aspects)), "nats per standard deviation within prompts")


def _aspect_rows(aspects: Sequence[Aspect]) -> Iterator[Row]:
    for one in aspects:
        if one.weight is None or one.low is None or one.high is None:
            continue
        unit = safe_label(one.unit)
        hover = (
            f"<b>{safe_label(one.name)}</b><br>{one.weight:+.3f} nats per {unit} "
            f"({one.low:+.3f} to {one.high:+.3f})<br>standard deviation {one.sd:.3g}"
        )
        ends = (one.sd * end for end in (one.weight, one.low, one.high))
        yield Row(safe_label(one.name, LABEL_CHARACTERS), hover, *ends)


def _forest(shown: Sequence[Row], title: str) -> go.Figure:
    figure = go.Figure()
    figure.add_vline(x=0, line_width=1, line_color=QUIET)
    for name, colour, symbol in (
        ("paid for", PAID, "circle"),
        ("charged for", CHARGED, "diamond"),
        (UNDECIDED, QUIET, "circle-open"),
    ):
        rows = [at for at, row in enumerate(shown) if _side(row) == name]
        if rows:
            figure.add_trace(_forest_rows(name, shown, rows, colour, symbol))
    rows_named(figure, [row.label for row in shown])
    figure.update_yaxes(tickfont={"size": 14})
    return framed(figure, 110 + ROW_PIXELS * len(shown), title)


def kl_by_position(rows: Sequence[PositionKL]) -> go.Figure:
    """Mean log-ratio of aligned answers at each token position, over how many answers reach it.

    Positions that few answers reach are noise, and drawn faintly.
    """
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06
    )
    position = [row.position for row in rows]
    counts = [row.n for row in rows]
    enough = sum(n >= ENOUGH_ANSWERS * max(counts) for n in counts)
    reach = go.Bar(
        x=position,
        y=counts,
        marker={"color": QUIET, "opacity": 0.5, "line": {"width": 0}},
        hovertemplate="token %{x}<br>%{y} answers<extra></extra>",
    )
    figure.add_trace(_kl_line(rows[:enough], opacity=1.0), row=1, col=1)
    if enough < len(rows):
        figure.add_trace(_kl_line(rows[max(enough - 1, 0) :], opacity=0.35), row=1, col=1)
    figure.add_trace(reach, row=2, col=1)
    figure.add_hline(y=0, line_width=1, line_color=QUIET, row=1, col=1)
    figure.update_xaxes(automargin=True, zeroline=False, showgrid=False)
    figure.update_yaxes(automargin=True, zeroline=False, showgrid=True, gridcolor=GRID)
    figure.update_yaxes(title=axis_title("nats"), row=1, col=1)
    figure.update_yaxes(title=axis_title("answers"), rangemode="tozero", nticks=3, row=2, col=1)
    figure.update_xaxes(title=axis_title("token of the response (0 = first)"), row=2, col=1)
    figure.update_layout(
        height=POSITIONS_PIXELS,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        showlegend=False,
        bargap=0.15,
    )
    return figure


LEGEND: Final = {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}
MARGIN: Final = {"l": 10, "r": 10, "t": 40, "b": 10}


@runtime_checkable
class Told(Protocol):
    """A value with the ends of its interval."""

    @property
    def value(self) -> float:
        """Between the ends."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


def whiskers(shown: Sequence[Told], thickness: float) -> dict[str, object]:
    """Intervals as Plotly's error bars."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.high - one.value for one in shown],
        "arrayminus": [one.value - one.low for one in shown],
        "thickness": thickness,
        "width": 0,
    }


def diagonal(name: str, start: float) -> go.Scatter:
    """What a curve is held against, from a share to 1."""
    return go.Scatter(
        x=[start, 1],
        y=[start, 1],
        mode="lines",
        line={"color": QUIET, "width": 1, "dash": "dash"},
        name=name,
        hoverinfo="skip",
    )


def framed(figure: go.Figure, height: int, x: str, y: str | None = None) -> go.Figure:
    """A figure with titled axes, a quiet grid and its legend above."""
    for update, title in ((figure.update_xaxes, x), (figure.update_yaxes, y)):
        update(automargin=True, zeroline=False, showgrid=True, gridcolor=GRID)
        if title is not None:
            update(title=axis_title(title))
    figure.update_layout(height=height, margin=MARGIN, legend=LEGEND, showlegend=True)
    return figure


def rows_named(figure: go.Figure, labels: Sequence[str]) -> None:
    """One row for each label, the first on top."""
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=list(labels),
        range=[len(labels) - 0.4, -0.6],
    )


def axis_title(text: str) -> dict[str, object]:
    """The title of an axis."""
    return {"text": text, "font": {"size": TITLE_SIZE}, "standoff": 12}


def _kl_line(rows: Sequence[PositionKL], opacity: float) -> go.Scatter:
    return go.Scatter(
        x=[row.position for row in rows],
        y=[row.kl_nats for row in rows],
        customdata=[row.n for row in rows],
        mode="lines+markers",
        line={"color": PAID, "width": 2},
        marker={"size": 5},
        opacity=opacity,
        hovertemplate="token %{x}<br>%{y:.4f} nats<br>%{customdata} answers<extra></extra>",
    )


def safe_label(text: str, limit: int | None = None) -> str:
    """Untrusted text for a Plotly label: no tags, no control characters, not too long."""
    plain = printable(text)
    if limit is not None and len(plain) > limit:
        plain = plain[: limit - 1] + "…"
    return html.escape(plain, quote=False)  # Plotly knows no &quot; and would show it as it is


def _side(row: Row) -> str:
    if row.low <= 0 <= row.high:
        return UNDECIDED
    return "paid for" if row.value > 0 else "charged for"


def _forest_rows(
    name: str, shown: Sequence[Row], rows: Sequence[int], colour: str, symbol: str
) -> go.Scatter:
    chosen = [shown[at] for at in rows]
    return go.Scatter(
        x=[row.value for row in chosen],
        y=list(rows),
        error_x=whiskers(chosen, 2.0),
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9},
        name=name,
        text=[row.hover for row in chosen],
        hovertemplate="%{text}<extra></extra>",
    )


def _label(term: Term) -> str:
    marker = "" if term.condition is None else " *"
    return safe_label(term.term, LABEL_CHARACTERS) + marker


def _hover(term: Term) -> str:
    lines = [
        f"<b>{safe_label(term.term)}</b> {safe_label(condition_in_words(term.condition))}",
        f"{term.weight:+.2f} nats per occurrence ({term.low:+.2f} to {term.high:+.2f})",
        f"{term.occurrences} occurrences",
    ]
    if term.token_mean_nats is not None:
        lines.append(f"value gained {term.token_mean_nats:+.2f} nats per token, on average")
    return "<br>".join(lines)
