"""The recovery methods by name; each is (examples, form, learning) to fitted rewards."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import get_args

from irl.config import Learning, SampleMethod
from irl.recovery.adversarial import by_game
from irl.recovery.bradley_terry import by_absolute, by_candidates, by_generalised, by_pairs
from irl.recovery.examples import Examples
from irl.recovery.failure_aware import by_failures
from irl.recovery.fit import Fitted
from irl.recovery.max_entropy import by_likelihood
from irl.recovery.max_margin import by_ball, by_box
from irl.recovery.regression import by_log_ratio, by_reference_free
from irl.rewards.heads import Form

Method = Callable[[Examples, Form, Learning], Fitted]
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "log-ratio": by_log_ratio,
        "bradley-terry": by_pairs,
        "candidates": by_candidates,
        "max-entropy": by_likelihood,
        "max-margin": by_box,
        "max-margin-ball": by_ball,
        "adversarial": by_game,
        "failure-aware": by_failures,
        "absolute": by_absolute,
        "generalised": by_generalised,
        "reference-free": by_reference_free,
    }
)
WHITE_BOX = frozenset(METHODS) - frozenset(get_args(SampleMethod))
"Methods that need a policy to score with; the others learn from samples alone"
ROBUST = frozenset({"absolute", "generalised"})
"Methods for labels that may be wrong; samples of policies carry none"
