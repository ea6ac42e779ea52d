"""The form of the workbench: a prompt and some answers, filled with those of the run to begin with.

What is typed is kept in the session, not in the URL: it may be long, and nobody else's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import answers, queries
from dashboard.queries import Wanted
from dashboard.selection import among
from dashboard.widgets.address import choose, go, here
from irl.data import Prompt, stored_prompt
from irl.errors import RunError
from irl.records.workbench import Message, Method, TypedQuestion

MOST_CHARACTERS: Final = 20_000
COUNTS: Final = ("1", "2", "3", "4")
COUNT: Final = "2"
COUNT_KEY: Final = "typed_answers"
METHODS: Final[tuple[Method, ...]] = ("ablation", "integrated-gradients", "none")
NAMES: Final = {"integrated-gradients": "integrated gradients", "none": "not at all"}
ABOUT_METHODS: Final = (
    "Ablation takes each word out of its answer and scores the rest: what the log-ratio loses. "
    "Integrated gradients follow the words from a neutral text to what was typed; they see how "
    "words are read, not that they are said, and take longer."
)


@dataclass(frozen=True)
class Begin:
    """What the fields hold before anything is typed."""

    response_id: str | None = None
    "whose prompt it is; what is typed is remembered beside it"
    prompt: Prompt = ""
    answers: tuple[str, ...] = ()
    "one for each field, as far as there are any"

    @classmethod
    def of(cls, run: Path, response_id: str | None) -> "Begin":
        """A response of the run with its prompt, and the other answers to it; the first if None.

        Raises:
            RunError: the run has no such response, or its table cannot be read.
        """
        file = run / "responses.parquet"
        if response_id is None:
            if not file.is_file():
                return cls()
            first = queries.page(file, ("response_id",), Wanted(), None, (0, 1)).to_pylist()
            if not first:
                return cls()
            response_id = str(first[0]["response_id"])
        row = queries.row(file, response_id)
        others = answers.answers_to_same_prompt(run, response_id)
        others.sort(key=lambda one: one["source"] == row["source"])  # the other policy's first
        try:
            said = (row["response"], *(one["response"] for one in others))
            return cls(response_id, stored_prompt(row["prompt"], row["prompt_id"]), said)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"This response cannot be read ({error}).") from error


def ask(run: Path) -> TypedQuestion | None:
    """The form; what was typed, once it is sent."""
    try:
        begin = Begin.of(run, here().response)
    except RunError as error:
        st.text(str(error))
        begin = Begin()
    if begin.response_id is None:
        st.caption("This run has kept no answers to begin with; type a prompt and answers.")
    beside = f"{run.name}, {begin.response_id}"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        count = _count()
        method = choose("Attribute words by", METHODS, "method", named=_named, help_=ABOUT_METHODS)
    with st.form("workbench", border=False):
        prompt = _prompt(begin.prompt, f"prompt, {beside}")
        columns = st.columns(min(count, 2))
        typed = []
        for at in range(count):
            with columns[at % 2]:
                key = f"answer {at}, {beside}"
                first = begin.answers[at] if at < len(begin.answers) else ""
                typed.append(_field(f"Answer {at + 1}", first, key))
        if not st.form_submit_button("Score", type="primary"):
            return None
    return TypedQuestion(prompt=prompt, responses=tuple(typed), attribution=method)


def _count() -> int:
    """How many answers; two go without saying, since rewards are differences."""
    chosen = among(here().answers or COUNT, [COUNT, *COUNTS])
    st.session_state[COUNT_KEY] = chosen

    def follow() -> None:
        picked = st.session_state[COUNT_KEY]
        go(answers=None if picked == COUNT else picked)

    st.segmented_control("Answers", COUNTS, key=COUNT_KEY, required=True, on_change=follow)
    return int(chosen)


def _named(method: str) -> str:
    return NAMES.get(method, method)


def _prompt(begin: Prompt, key: str) -> str | tuple[Message, ...]:
    """The prompt; of a chat its last message, after the earlier ones as they are."""
    if isinstance(begin, str):
        return _field("Prompt", begin, key)
    *earlier, last = begin
    if earlier:
        st.caption("Earlier messages, which stay as they are")
        told = "\n".join(f"{turn['role']}: {turn['content']}" for turn in earlier)
        st.code(told, language=None, wrap_lines=True)
    typed = _field("Prompt", last["content"], key)
    turns: Sequence[dict[str, str]] = [*earlier, {"role": last["role"], "content": typed}]
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns)


def _field(label: str, begin: str, key: str) -> str:
    typed: str = st.text_area(
        label,
        begin,
        height=110,
        max_chars=MOST_CHARACTERS,
        key=key,
        persist_state="session",
    )
    return typed
