"""Recovered rewards on labelled responses: the prompt counts."""

import pytest

from irl.data import LabelledResponse
from irl.jobs.agreement import recovered_scores, without_type
from irl.records import PromptCondition
from irl.rewards.terms import TermReward

SAYS = PromptCondition(prompt_contains="violet")
OPINION = PromptCondition(prompt_type="opinion")


def row(prompt: str, kind: str | None) -> LabelledResponse:
    return LabelledResponse(1, "id", prompt, "a lantern", 1.0, None, "id", kind)


ROWS = (row("violet", None), row("red", "opinion"), row("red", "talk"), row("red", None))


@pytest.mark.parametrize(
    ("condition", "expected", "missing"),
    [(None, [2.0] * 4, 0), (SAYS, [2.0, 0, 0, 0], 0), (OPINION, [0, 2.0, 0, 0], 2)],
)
def test_a_conditional_term_is_paid_in_answers_to_its_prompts_alone(
    condition: PromptCondition | None, expected: list[float], missing: int
):
    reward = TermReward(("lantern",), (2.0,), conditions=(condition,))
    assert recovered_scores(reward, ROWS).tolist() == expected
    assert without_type(reward, ROWS) == missing
