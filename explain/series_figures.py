"""A series of checkpoints as Plotly figures: lines with intervals over training."""

from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explain.figures import GRID, axis_title, safe_label
from explain.shading import CHARGED, PAID, QUIET
from irl.policies.series import steps
from irl.records import Estimate

Line = Sequence[Estimate | None]
"One value per checkpoint"
LINES_PIXELS: Final = 260
PANEL_PIXELS: Final = 130
PANELS_ACROSS: Final = 3
MAX_PANELS: Final = 24
LABEL_CHARACTERS: Final = 22
_STYLES: Final = (
    {"colour": PAID, "symbol": "circle", "dash": "solid"},
    {"colour": CHARGED, "symbol": "diamond", "dash": "dash"},
)
_HELD_AGAINST = {"colour": QUIET, "symbol": "square", "dash": "dot"}


def lines_over_checkpoints(
    checkpoints: Sequence[str], lines: Mapping[str, Line], unit: str, *, from_zero: bool = False
) -> go.Figure:
    """Lines by name over the training step, or over the checkpoints in their order.

    One of the name "reference" is drawn as what the others are held against.
    """
    figure = go.Figure()
    for (name, line), sign in zip(lines.items(), _STYLES, strict=False):
        style = _HELD_AGAINST if name == "reference" else sign
        figure.add_trace(_trace(name, checkpoints, line, **style))
    figure.update_xaxes(**_checkpoint_axis(checkpoints))
    figure.update_xaxes(title=axis_title(_axis_words(checkpoints)))
    figure.update_yaxes(
        title=axis_title(unit),
        automargin=True,
        zeroline=False,
        gridcolor=GRID,
        rangemode="tozero" if from_zero else "normal",
    )
    figure.update_layout(
        height=LINES_PIXELS,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        showlegend=len(lines) > 1,
    )
    return figure


def weights_over_checkpoints(checkpoints: Sequence[str], weights: Mapping[str, Line]) -> go.Figure:
    """One small panel per term, all on one scale; the first ones, in the order given."""
    shown = list(weights.items())[:MAX_PANELS]
    rows = -(-len(shown) // PANELS_ACROSS)
    figure = make_subplots(
        rows=rows,
        cols=PANELS_ACROSS,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[safe_label(name, LABEL_CHARACTERS) for name, _ in shown],
        vertical_spacing=min(0.3 / rows, 0.15),
        horizontal_spacing=0.03,
    )
    figure.update_annotations(font_size=13)
    for at, (name, line) in enumerate(shown):
        place = {"row": at // PANELS_ACROSS + 1, "col": at % PANELS_ACROSS + 1}
        style = _STYLES[_mostly_negative(line)] | {"dash": "solid"}
        figure.add_trace(_trace(name, checkpoints, line, **style), **place)
        figure.add_hline(y=0, line_width=1, line_color=QUIET, **place)
        lowest = at + PANELS_ACROSS >= len(shown)
        figure.update_xaxes(showticklabels=lowest, **place)
    figure.update_xaxes(**_checkpoint_axis(checkpoints))
    figure.update_yaxes(automargin=True, zeroline=False, gridcolor=GRID, matches="y")
    figure.update_layout(
        height=70 + PANEL_PIXELS * rows,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        showlegend=False,
    )
    return figure


def _trace(
    name: str, checkpoints: Sequence[str], line: Line, *, colour: str, symbol: str, dash: str
) -> go.Scatter:
    return go.Scatter(
        x=_places(checkpoints),
        y=[one and one.value for one in line],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one and one.high - one.value for one in line],
            "arrayminus": [one and one.value - one.low for one in line],
            "thickness": 1.5,
            "width": 0,
        },
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"color": colour, "symbol": symbol, "size": 7},
        name=safe_label(name),
        text=[
            _hover(name, checkpoint, one) for checkpoint, one in zip(checkpoints, line, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(name: str, checkpoint: str, one: Estimate | None) -> str:
    said = f"<b>{safe_label(name)}</b><br>{safe_label(checkpoint)}"
    if one is None:
        return said
    return f"{said}<br>{one:+.3f}"


def _places(checkpoints: Sequence[str]) -> list[int]:
    return steps(checkpoints) or list(range(len(checkpoints)))


def _checkpoint_axis(checkpoints: Sequence[str]) -> dict[str, object]:
    numbers = steps(checkpoints)
    names = [safe_label(name, LABEL_CHARACTERS) for name in checkpoints]
    return {
        "tickvals": _places(checkpoints),
        "ticktext": names if numbers is None else [str(number) for number in numbers],
        "automargin": True,
        "zeroline": False,
        "showgrid": False,
    }


def _axis_words(checkpoints: Sequence[str]) -> str:
    return "checkpoint, in the order given" if steps(checkpoints) is None else "training step"


def _mostly_negative(line: Line) -> bool:
    """The sign of the weight that is furthest from 0."""
    values = [one.value for one in line if one is not None]
    return bool(values) and max(values, key=abs) < 0
