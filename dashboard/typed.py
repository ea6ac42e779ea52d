"""What was typed and scored, and what an edit has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from explain.cuts import words
from explain.tokens import Answer, Token
from irl.records.workbench import TypedAnswer, TypedAnswers, TypedQuestion, Worth


@dataclass(frozen=True)
class Scored:
    """A question with its answers."""

    question: TypedQuestion
    found: TypedAnswers


@dataclass(frozen=True)
class Edit:
    """An answer that is another than it was."""

    number: int
    "of the answer, from 1"
    before_nats: float
    now_nats: float
    "log-ratios"
    reward: Worth | None
    "what the edit is worth"
    changes: list[tuple[str, str]]
    "words that were, and words that stand in their place; either may be empty"


def asked_after(question: TypedQuestion, last: Scored | None) -> TypedQuestion:
    """The question, with what its answers were when the same prompt was scored last."""
    if last is None or last.question.prompt != question.prompt:
        return question
    pairs = zip(last.question.responses, question.responses, strict=False)
    before = tuple(was if was != text else None for was, text in pairs)
    return question.model_copy(update={"before": before})


def edits(last: Scored, now: Scored) -> list[Edit]:
    """The answers that were edited; empty where the prompt is another."""
    if last.question.prompt != now.question.prompt:
        return []
    answers = zip(last.found.answers, now.found.answers, strict=False)
    texts = zip(last.question.responses, now.question.responses, strict=False)
    return [
        Edit(at, was.log_ratio_nats, new.log_ratio_nats, new.over_before, changed_words(*both))
        for at, ((was, new), both) in enumerate(zip(answers, texts, strict=True), start=1)
        if both[0] != both[1]
    ]


def changed_words(was: str, now: str) -> list[tuple[str, str]]:
    """Words that are gone, and what stands in their place, in order; white space does not count."""
    old, new = words(was), words(now)
    before, after = [was[a:b].strip() for a, b in old], [now[a:b].strip() for a, b in new]
    matched = SequenceMatcher(None, before, after, autojunk=False)
    return [
        (_between(was, old[a:b]), _between(now, new[c:d]))
        for kind, a, b, c, d in matched.get_opcodes()
        if kind != "equal"
    ]


def as_answer(typed: TypedAnswer, name: str) -> Answer:
    """As a run's answer is shown."""
    return Answer(
        response_id=name,
        source="given",
        reward_nats=None if typed.reward is None else typed.reward.value,
        log_ratio_nats=typed.log_ratio_nats,
        tokens=[
            Token(
                text=one.text,
                special=one.special,
                aligned_nats=one.aligned_nats,
                reference_nats=one.reference_nats,
                log_ratio_nats=one.log_ratio_nats,
                paid_for_nats=one.paid_for_nats,
            )
            for one in typed.tokens
        ],
    )


def _between(text: str, cut: Sequence[tuple[int, int]]) -> str:
    """From the first of some neighbouring pieces to the last."""
    return text[cut[0][0] : cut[-1][1]].strip() if cut else ""
