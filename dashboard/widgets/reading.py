"""One response, read: its figures, its tokens or words in colour, and the other answers."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from dashboard import answers
from dashboard.maps import Map, map_scale, maps
from dashboard.selection import number
from dashboard.tokens import show_tokens, show_values
from dashboard.widgets.address import choose, go, here
from dashboard.widgets.one_token import show_token
from dashboard.widgets.plain import fact
from explain.grouping import GRANULARITIES, Granularity, grouped
from explain.shading import COLUMNS, NAMES, Colour, shade_values
from irl.errors import RunError
from irl.records import Term

OF: Final = {"aligned": "of the aligned policy", "reference": "of the reference policy"}
NOTES: Final = {
    "paid_for": "Paid for: the recovered reward, laid on the tokens that carry it. That is a "
    "choice; only the sum over a response is a matter of fact.",
    "value_gained": "Value gained: each token's log-ratio. It says where the policy decided, not "
    "what is paid for.",
}
POINT: Final = "Point at one for its exact values; a click tells more."


def read_response(
    run: Path, response_id: str, terms: list[Term], *, editable: bool = False
) -> None:
    """One response: its prompt, its figures, its tokens in colour, the one that was clicked.

    Args:
        run: the run folder.
        response_id: of the response; from the URL.
        terms: of the audit, if the run is one.
        editable: whether the workbench can score what a reader makes of it.
    """
    try:
        row = answers.response(run, response_id)
    except RunError as error:
        st.text(str(error))
        return
    with st.container(border=True):
        _facts(row)
        if editable:
            query = urlencode({"run": run.name, "response": response_id})
            st.link_button("Try changes in the workbench", f"workbench?{query}")
        st.caption("prompt")
        st.code(row["prompt"], language=None, wrap_lines=True)
        try:
            colour, by = _coloured(run, response_id)
        except RunError as error:
            st.caption("response")
            st.code(row["response"], language=None, wrap_lines=True)
            st.text(str(error))
            return
        chosen = number(here().token)
        if chosen is not None:
            show_token(run, answers.tokens(run, response_id), chosen, terms)
    _beside(run, response_id, colour, by)


def _facts(row: dict[str, Any]) -> None:
    with st.container(horizontal=True, gap="medium"):
        fact("response", row["response_id"])
        fact("source", row["source"])
        fact("log-ratio, nats", f"{row['log_ratio_nats']:+.2f}")
        if row["reward_nats"] is not None:
            interval = f"{row['reward_low_nats']:+.2f} to {row['reward_high_nats']:+.2f}"
            fact("reward, nats", f"{row['reward_nats']:+.2f} ({interval})")
        fact("tokens", str(row["n_tokens"]))


def _coloured(run: Path, response_id: str) -> tuple[Colour, Granularity]:
    """The response in colour, and how the other answers to its prompt are to be shown.

    Raises:
        RunError: the run holds no tokens, or they cannot be read.
    """
    answer, found = answers.tokens(run, response_id), maps(run, response_id)
    with st.container(horizontal=True, gap="medium"):
        wanted = choose("Colour by", [*COLUMNS, *found], "colour", named=_name)
        by: Granularity = "word" if wanted in found else choose("By", GRANULARITIES, "by")
    if wanted in found:
        _map(run, response_id, wanted, found[wanted])
        return "value_gained", by
    colour: Colour = "paid_for" if wanted == "paid_for" else "value_gained"
    st.caption(f"{NOTES[colour]} {POINT}")
    show_tokens(
        grouped(answer, by),
        colour,
        answers.scale(run, colour),
        key=f"tokens of {response_id}",
        chosen=number(here().token),
        on_choose=lambda at: go(token=str(at)),
    )
    return colour, by


def _name(colour: str) -> str:
    """A method is called what it is."""
    return next((name for known, name in NAMES.items() if known == colour), colour)


def _map(run: Path, response_id: str, method: str, found: Map) -> None:
    """What a method attributes to the words of the prompt and of the response."""
    st.caption(
        f"{method}: values add up to {found.target - found.baseline:+.2f} nats, what the answer's "
        f"log-ratio is beyond that of nothing, but for {found.relative_gap:.1%}. How far such maps "
        "are to be believed is measured under explanations."
    )
    scale = map_scale(run, method)
    for name, segments in (("prompt", found.prompt), ("response", found.response)):
        if segments:
            st.caption(name)
            key = f"{method}, {name} of {response_id}"
            first = name == "prompt" or not found.prompt
            show_values(
                shade_values(segments, method, scale), f"nats, {method}", scale, key, legend=first
            )


def _beside(run: Path, response_id: str, colour: Colour, by: Granularity) -> None:
    """The other answers to the same prompt, in the same colours."""
    try:
        others = answers.answers_to_same_prompt(run, response_id)
        scale = answers.scale(run, colour)
    except RunError as error:
        st.text(str(error))
        return
    if not others:
        return
    st.subheader("Other answers to this prompt")
    policies = list(dict.fromkeys(row["source"] for row in others))
    for policy, column in zip(policies, st.columns(len(policies)), strict=True):
        with column:
            st.caption(OF.get(policy, "given"))
            for row in others:
                if row["source"] == policy:
                    with st.container(border=True):
                        st.text(f"log-ratio {row['log_ratio_nats']:+.2f} nats")
                        _other(run, row["response_id"], colour, by, scale)


def _other(run: Path, response_id: str, colour: Colour, by: Granularity, scale: float) -> None:
    try:
        answer = answers.tokens(run, response_id)
    except RunError as error:
        st.text(str(error))
        return
    show_tokens(
        grouped(answer, by),
        colour,
        scale,
        key=f"tokens of {response_id}",
        legend=False,
        on_choose=lambda at: go(response=response_id, token=str(at)),
    )
