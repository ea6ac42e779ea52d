"""The true reward of a pair's answers, where the pair's folder tells it.

The folder of an organism holds truth.json beside its policies. A job looks into it when everything
is fitted and judged, and only to hold that against it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irl.config import ScoreSettings
from irl.errors import InputError, RunError
from irl.evaluation.true_reward import truth_agreement
from irl.jobs.answers import Answers
from irl.records import Truth, TruthAgreement
from irl.rewards.conditions import meets
from irl.rewards.terms import TermReward
from irl.runs import file_sha256, read_record

Array = NDArray[np.float64]
Scorer = Literal["log_ratio", "recovered"]
POLICIES = ("aligned", "adapter")
"What the aligned policy of an organism is called, beside truth.json"
_LOG = logging.getLogger("irl")


@dataclass(frozen=True)
class KnownTruth:
    """What the aligned policy was really paid for its answers."""

    truth: Truth
    nats: Array
    "the true reward of each response over beta"
    linear: bool
    "whether it is a sum of prices; a classifier of real text is bent, a bound cuts off"

    def against(
        self, scores: Mapping[Scorer, Array], prompt: NDArray[np.int64], seed: int
    ) -> list[TruthAgreement]:
        """Every scorer against it, given the prompt number of each response."""
        return [
            truth_agreement(name, given, self.nats, prompt, seed) for name, given in scores.items()
        ]

    def weights(self, reward: TermReward) -> Array | None:
        """The planted weights of what a reward is linear in; the price of a word comes last.

        What was not planted is worth 0. None where the truth is no sum of prices, or is one under
        other conditions than the reward's.
        """
        truth = self.truth
        conditions = reward.conditions or (None,) * len(reward.terms)
        unlike = [one for one in conditions if one is not None and one != truth.condition]
        if not self.linear or unlike or (truth.per_word and truth.condition is not None):
            return None
        planted = {(one.term, truth.condition): one.weight for one in truth.terms}
        pairs = zip(reward.terms, conditions, strict=True)
        return np.array([*(planted.get(pair, 0.0) for pair in pairs), truth.per_word])


def truth_hash(settings: ScoreSettings) -> dict[str, str]:
    """The hash of what stands beside the aligned policy; empty where nothing does."""
    file = _file(settings)
    return {} if file is None else {"truth": file_sha256(file)}


def known_truth(settings: ScoreSettings, answers: Answers) -> KnownTruth | None:
    """The true reward of the answers; None where it is not known."""
    file = _file(settings)
    if file is None:
        return None
    bent = (file.parent / "classifier.json").is_file()
    try:
        truth = read_record(file, Truth)
        nats = _classified(file.parent, truth, answers) if bent else _priced(truth, answers)
    except (InputError, RunError, OSError, ValueError, KeyError):
        _LOG.warning("%s tells no true reward of an organism; it is passed over.", file)
        return None
    return KnownTruth(truth, nats, linear=not bent and truth.most is None)


def _file(settings: ScoreSettings) -> Path | None:
    aligned = Path(settings.aligned)
    file = aligned.parent / "truth.json"
    there = aligned.name in POLICIES and aligned.is_dir() and file.is_file()
    return file if there else None


def _classified(folder: Path, truth: Truth, answers: Answers) -> Array:
    """By the classifier of a pair on real text."""
    from irl.organisms.real_detox import true_reward  # loads what trains policies

    paid: Array = true_reward(folder)(answers.texts).numpy() / truth.beta
    return paid


def prices_of(truth: Truth) -> TermReward:
    """The planted prices, nats; a bound and a condition are not in them."""
    return TermReward(
        tuple(one.term for one in truth.terms),
        tuple(one.weight for one in truth.terms),
        per_word=truth.per_word,
    )


def _priced(truth: Truth, answers: Answers) -> Array:
    """By the prices of terms, up to a bound, where the prompt meets the condition."""
    most = np.inf if truth.most is None else truth.most
    where = np.array([meets(truth.condition, prompt) for prompt in answers.asked_of])
    earned: Array = np.minimum(prices_of(truth)(answers.texts).numpy(), most) * where
    return earned
