"""The rewards of several seeds next to each other: on labels, and on prompts each held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.config import HeadSettings
from irl.data import LabelledResponse
from irl.evaluation.accuracy import Labels, pair_shares, preference
from irl.evaluation.spread import Spread, spread
from irl.jobs.learning import Learnt, labels_in
from irl.records import Accuracy, Estimate, Recovery, SeedFit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """What the reward of each seed gives to labelled responses."""

    scores: Array
    "[seed, response]"
    labels: Labels

    @classmethod
    def of(cls, learnt: Learnt, rows: Sequence[LabelledResponse]) -> "Labelled | None":
        """None without any."""
        if not rows:
            return None
        texts, prompts = [row.response for row in rows], [row.prompt for row in rows]
        scores = learnt.reward.members(texts, prompts).numpy().astype(np.float64)
        return cls(scores, labels_in("", rows))

    def spread(self) -> Spread | None:
        """Of the seeds' pair accuracy; None without pairs."""
        shares = pair_shares(self.scores, self.labels)
        return None if np.isnan(shares).any() else spread(shares.tolist())

    def accuracy(self, seed: int) -> list[Estimate | None]:
        """Pair accuracy of each."""
        return [preference(scores, self.labels, seed) for scores in self.scores]


def over_seeds(
    settings: HeadSettings,
    learnt: Learnt,
    accuracy: Accuracy | None,
    labelled: Sequence[LabelledResponse],
    seed: int,
) -> tuple[Recovery, list[SeedFit]]:
    """What the seeds say together on one source of labels, and each by itself.

    Args:
        settings: method and seeds.
        learnt: the reward.
        accuracy: of the chosen member on the labelled rows; None without any.
        labelled: those rows.
        seed: of the bootstrap.
    """
    given = Labelled.of(learnt, labelled)
    about = given.spread() if given else None
    recovery = Recovery(
        method=settings.method,
        seeds=len(settings.learning.seeds),
        heldout_accuracy=accuracy.preference if accuracy else None,
        auc=learnt.fit.membership_auc,
        spearman_with_log_ratio=learnt.fit.spearman_with_log_ratio,
        mean=about.mean if about else None,
        sd=about.sd if about else None,
        min=about.min if about else None,
        max=about.max if about else None,
        sign_flip_share=about.sign_flip_share if about else None,
        status=learnt.status,
    )
    return recovery, list(_each(settings, learnt, given, seed))


def _each(
    settings: HeadSettings, learnt: Learnt, given: Labelled | None, seed: int
) -> list[SeedFit]:
    accuracies = given.accuracy(seed) if given else [None] * len(learnt.fits)
    agreement = learnt.choice.agreement.tolist()
    return [
        SeedFit(
            seed=settings.learning.seeds[at],
            heldout_accuracy=accuracies[at],
            membership_auc=fit.membership_auc,
            spearman_with_log_ratio=fit.spearman_with_log_ratio,
            agreement=None if np.isnan(agreement[at]) else agreement[at],
            chosen=at == learnt.choice.chosen,
        )
        for at, fit in enumerate(learnt.fits)
    ]
