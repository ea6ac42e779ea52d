"""What the workbench found: scores, tokens and words in colour, and what an edit has changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard import answers, queries
from dashboard.tokens import show_tokens, show_values
from dashboard.typed import Scored, as_answer, edits
from dashboard.widgets.address import choose, here
from dashboard.widgets.plain import nats, table
from dashboard.widgets.reading import NOTES
from explain.grouping import GRANULARITIES, Granularity, grouped
from explain.shading import COLUMNS, NAMES, Colour, shade_values
from irl.data import stored_prompt
from irl.errors import RunError
from irl.records.workbench import TypedAnswer, TypedMap, TypedQuestion, Worth

SAME_NATS: Final = 0.01
GAP: Final = 0.01
"From here on an attribution is said not to add up"
HELP: Final = {
    "log-ratio": "ln aligned / reference, summed over the tokens of the answer. Computed, not "
    "estimated, so it has no interval. It holds a constant of the prompt: hold it against other "
    "answers to the same prompt only.",
    "reward": "What the words of the answer are paid by the recovered reward, over an answer that "
    "says nothing, with its 95 % interval over the prompts of the audit. In units of beta, the "
    "price of KL in the training.",
    "over answer 1": "the difference to the first answer, in which the constant of the prompt "
    "cancels.",
}
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_scored(run: Path, now: Scored, last: Scored | None) -> None:
    """The latest scores, and what is new in them.

    Args:
        run: the run folder.
        now: what was scored latest.
        last: what was scored before that.
    """
    st.subheader("Scores")
    _scores(now.found.answers)
    _read(now)
    _as_drawn(run, now)
    for caveat in now.found.caveats:
        st.text(f"• {caveat.text}")
    if last is not None:
        _difference(last, now)
    _colours(run, now)


def _scores(found: Sequence[TypedAnswer]) -> None:
    rows = [
        {
            "answer": f"answer {at}",
            "log_ratio": one.log_ratio_nats,
            "log_ratio_over": one.log_ratio_nats - found[0].log_ratio_nats if at > 1 else None,
            "reward": _told(one.reward, "none of its words is paid"),
            "reward_over": _told(one.over_first),
            "tokens": len(one.tokens),
        }
        for at, one in enumerate(found, start=1)
    ]
    over = HELP["over answer 1"]
    columns = {
        "answer": _text("answer"),
        "log_ratio": nats("log-ratio, nats", HELP["log-ratio"]),
        "log_ratio_over": nats("over answer 1, nats", f"Log-ratio: {over}"),
        "reward": _text("reward, nats", help=HELP["reward"]),
        "reward_over": _text("over answer 1, nats", help=f"Reward: {over}"),
        "tokens": _number("tokens", help="With the sign that ends the answer."),
    }
    table(rows, columns, height="content")


def _read(now: Scored) -> None:
    prompts = next((one.reward.n for one in now.found.answers if one.reward), None)
    over = "" if prompts is None else f" Intervals: 95 %, over {prompts} prompts of the audit."
    how = "the message of a user, by the chat template" if now.found.as_chat else "plain text"
    st.caption(
        f"The prompt was read as {how}.{over} A reward is known up to a constant of the prompt, so "
        f"only differences of answers to it mean anything. {now.found.seconds:.2f} seconds."
    )


def _as_drawn(run: Path, now: Scored) -> None:
    """Whether the first answer, if it is the run's own, has the log-ratio that the run gave it."""
    response_id = here().response
    if response_id is None:
        return
    try:
        row = queries.row(run / "responses.parquet", response_id)
    except RunError:
        return
    if row["response"] != now.question.responses[0] or not _same_prompt(row, now.question):
        return
    told = f"The audit gave answer 1 {row['log_ratio_nats']:+.2f} nats"
    if abs(row["log_ratio_nats"] - now.found.answers[0].log_ratio_nats) < SAME_NATS:
        st.caption(f"{told}, as here.")
        return
    st.caption(
        f"{told} and {row['n_tokens']} tokens: as it was drawn, which is not how its text is read. "
        "It was cut at the longest length, while a typed answer ends where its text does; or the "
        "policy spelled its words with other tokens; or weights of half precision are rounded."
    )


def _same_prompt(row: Mapping[str, Any], question: TypedQuestion) -> bool:
    asked = question.prompt
    typed = asked if isinstance(asked, str) else tuple(turn.model_dump() for turn in asked)
    return bool(stored_prompt(row["prompt"], row["prompt_id"]) == typed)


def _difference(last: Scored, now: Scored) -> None:
    st.subheader("Since the score before")
    if last.question.prompt != now.question.prompt:
        st.text(
            "The prompt is another: each has an unknown constant of its own, so the answers are "
            "compared with each other before and now, not with themselves."
        )
        _over_first(last.found.answers, now.found.answers)
        return
    changed = edits(last, now)
    if not changed:
        st.text("No answer is another than it was.")
        return
    rows = [
        {
            "answer": f"answer {one.number}",
            "before": one.before_nats,
            "now": one.now_nats,
            "difference": one.now_nats - one.before_nats,
            "reward": _told(one.reward),
            "words": "; ".join(f"{was or '–'} → {new or '–'}" for was, new in one.changes),
        }
        for one in changed
    ]
    columns = {
        "answer": _text("answer"),
        "before": nats("log-ratio before, nats", HELP["log-ratio"]),
        "now": nats("now, nats"),
        "difference": nats("difference, nats"),
        "reward": _text("difference of rewards, nats", help="With its 95 % interval."),
        "words": _text("words", width="large", help="What was → what stands there now."),
    }
    table(rows, columns, height="content")


def _over_first(before: Sequence[TypedAnswer], now: Sequence[TypedAnswer]) -> None:
    """Differences of answers to one prompt, of two prompts."""
    pairs = list(zip(before, now, strict=False))
    rows = [
        {
            "answer": f"answer {at} over answer 1",
            "before": was.log_ratio_nats - before[0].log_ratio_nats,
            "now": new.log_ratio_nats - now[0].log_ratio_nats,
            "reward_before": _told(was.over_first),
            "reward_now": _told(new.over_first),
        }
        for at, (was, new) in enumerate(pairs[1:], start=2)
    ]
    columns = {
        "answer": _text("answer"),
        "before": nats("log-ratio before, nats"),
        "now": nats("now, nats"),
        "reward_before": _text("reward before, nats"),
        "reward_now": _text("now, nats"),
    }
    if rows:
        table(rows, columns, height="content")


def _colours(run: Path, now: Scored) -> None:
    """Every answer in the same colours."""
    st.subheader("Tokens and words")
    maps = [one.attribution for one in now.found.answers]
    method = now.question.attribution
    by_method: list[str] = [method] if any(maps) else []
    with st.container(horizontal=True, gap="medium"):
        wanted = choose("Colour by", [*COLUMNS, *by_method], "colour", named=_named)
        by: Granularity = "word" if wanted in by_method else choose("By", GRANULARITIES, "by")
    if wanted in by_method:
        _mapped(maps, method)
        return
    colour: Colour = "paid_for" if wanted == "paid_for" else "value_gained"
    st.caption(f"{NOTES[colour]} Point at one for its exact values.")
    scale = _scale(run, colour, now.found.answers)
    for at, one in enumerate(now.found.answers, start=1):
        st.caption(f"answer {at}")
        answer = grouped(as_answer(one, f"answer {at}"), by)
        show_tokens(answer, colour, scale, key=f"typed answer {at}", legend=at == 1)


def _mapped(maps: Sequence[TypedMap | None], method: str) -> None:
    values = [abs(word.nats) for one in maps if one is not None for word in one.words]
    scale = max(values, default=0.0) or 1.0
    for at, one in enumerate(maps, start=1):
        st.caption(f"answer {at}")
        if one is None:
            st.text("It has no words.")
            continue
        shades = shade_values([(word.text, word.nats) for word in one.words], method, scale)
        show_values(shades, f"nats, {method}", scale, key=f"typed words {at}", legend=at == 1)
        st.caption(_adds_up(one))


def _adds_up(found: TypedMap) -> str:
    """What a map shares out, in words of our own."""
    if found.method == "ablation":
        return (
            f"What the log-ratio loses without each word, of {found.whole_nats:+.2f} nats over "
            "the answer without words. What words do together is counted twice or not at all."
        )
    told = f"The words share {found.whole_nats:+.2f} nats over a neutral text"
    if found.prompt_nats is not None:
        told += f" with those of the prompt, which hold {found.prompt_nats:+.2f}"
    if found.gap is not None and found.gap > GAP:
        told += f"; the values miss {found.gap:.0%} of it, so do not read single words"
    return f"{told}."


def _scale(run: Path, colour: Colour, found: Sequence[TypedAnswer]) -> float:
    """As in the run, so that the colours are those of its answers; else by what is shown."""
    try:
        return answers.scale(run, colour)
    except RunError:
        column = COLUMNS[colour]
        sizes = [abs(getattr(token, column) or 0.0) for one in found for token in one.tokens]
        return max(sizes, default=0.0) or 1.0


def _named(colour: str) -> str:
    """A method is called what it is."""
    return next((name for known, name in NAMES.items() if known == colour), colour)


def _told(worth: Worth | None, nothing: str = "the same is paid") -> str | None:
    """A number with its interval, where it has one; why, where it is 0 for certain."""
    if worth is None:
        return None
    if not worth.value and not worth.low and not worth.high:
        return f"0: {nothing}"
    if worth.low is None or worth.high is None:
        return f"{worth.value:+.2f} (no interval)"
    return f"{worth.value:+.2f} ({worth.low:+.2f} to {worth.high:+.2f})"
