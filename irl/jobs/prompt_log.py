"""A log of outcomes as tables, and outcome heads fitted to it, none of which sees its own fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irl.bootstrap import codes
from irl.data import fold_of
from irl.data.prompt_logs import LoggedOutcome, NamedText
from irl.errors import InputError
from irl.jobs.prompts_settings import PromptsSettings
from irl.policies.encoder import Encoder
from irl.policies.template import PromptText
from irl.recovery.catalogue import frequent_words
from irl.recovery.fit import MIN_PROMPTS
from irl.recovery.outcomes import LayersForm, fit_outcomes, grow_outcomes
from irl.rewards.boosted import Boosted
from irl.rewards.embeddings import Embeddings
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import Head, linear, mlp
from irl.rewards.outcomes import Crossed, OutcomeHead, PromptRows, QueryRows
from irl.rewards.words import words
from irl.runs import CACHE

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Trials:
    """A log in an order of its own, so that the order of its rows has no say."""

    rows: list[LoggedOutcome]
    queries: list[NamedText]
    "those of the log, then others for which prompts are chosen"
    prompts: list[NamedText]
    "those of the log and all candidates, by name"
    asked: Mask
    "[query]: for which prompts are chosen"
    candidate: Mask
    "[prompt]: among which"
    query: Codes
    "of each row"
    prompt: Codes
    "of each row"

    @classmethod
    def of(
        cls,
        log: Sequence[LoggedOutcome],
        queries: Sequence[NamedText],
        candidates: Sequence[NamedText],
    ) -> "Trials":
        """Bring a log and what is asked of it together; without queries or candidates, its own.

        Raises:
            InputError: there are too few queries to hold some out, or one prompt.
        """
        rows = sorted(
            log, key=lambda one: (one.query_id, one.prompt_id, one.outcome, one.response or "")
        )
        logged = {row.query_id: NamedText(row.line, row.query_id, row.query) for row in rows}
        tried = {row.prompt_id: NamedText(row.line, row.prompt_id, row.prompt) for row in rows}
        if len(logged) < MIN_PROMPTS:
            raise InputError(
                f"The log has outcomes of {len(logged)} queries; a head is fitted to some and "
                f"judged on others, so at least {MIN_PROMPTS} are needed."
            )
        more = {one.id: one for one in queries if one.id not in logged}
        every = [*logged.values(), *sorted(more.values(), key=lambda one: one.id)]
        wanted = {one.id for one in queries} or set(logged)
        among = {one.id for one in candidates} or set(tried)
        refuse_single(len(among))
        both = tried | {one.id: one for one in candidates}
        prompts = [both[name] for name in sorted(both)]
        at_query = {one.id: at for at, one in enumerate(every)}
        at_prompt = {one.id: at for at, one in enumerate(prompts)}
        return cls(
            rows,
            every,
            prompts,
            np.array([one.id in wanted for one in every]),
            np.array([one.id in among for one in prompts]),
            np.array([at_query[row.query_id] for row in rows]),
            np.array([at_prompt[row.prompt_id] for row in rows]),
        )

    @cached_property
    def outcome(self) -> Array:
        """Of each row."""
        return np.array([row.outcome for row in self.rows])

    @cached_property
    def counts(self) -> Codes:
        """Trials, [query, prompt]."""
        found = np.zeros((len(self.queries), len(self.prompts)), dtype=np.int64)
        np.add.at(found, (self.query, self.prompt), 1)
        return found

    @cached_property
    def table(self) -> Array:
        """Mean outcomes, [query, prompt]; NaN where a prompt was not tried."""
        sums = np.zeros(self.counts.shape)
        np.add.at(sums, (self.query, self.prompt), self.outcome)
        with np.errstate(invalid="ignore"):
            means: Array = sums / self.counts
        return means

    @property
    def odd(self) -> dict[str, int]:
        """What may surprise; a reward of answers needs a response in every row."""
        return {
            "repeated_trials": int((self.counts - 1).clip(0).sum()),
            "rows_without_response": sum(row.response is None for row in self.rows),
        }

    def fold(self, n_folds: int) -> Codes:
        """The fold of each query, by its name."""
        return np.array([fold_of(one.id, n_folds) for one in self.queries])


def refuse_single(candidates: int) -> None:
    """Refuse a choice among one.

    Raises:
        InputError: there are fewer than two candidates.
    """
    if candidates < 2:
        raise InputError(
            f"There is {candidates} candidate prompt, so there is nothing to choose; give two or "
            "more different ones."
        )


@dataclass(frozen=True)
class Read:
    """Features of all queries and prompts of a log."""

    queries: QueryRows
    prompts: PromptRows
    by: str
    "in words"


def read(trials: Trials, encoder: Encoder | None, settings: PromptsSettings) -> Read:
    """Counts of words, or embeddings where something embeds.

    Raises:
        InputError: no word is frequent enough.
    """
    queries, prompts = ([one.text for one in some] for some in (trials.queries, trials.prompts))
    if encoder is not None:
        reader = Embeddings(encoder, cache=CACHE / "embeddings")
        # A text by itself: the encoder reads it as an answer to the empty prompt.
        alone = [reader(texts, [""] * len(texts)) for texts in (queries, prompts)]
        return Read(alone[0], alone[1], str(reader))
    known = frequent_words([row.query for row in trials.rows], settings.fitting)
    named = WordCounts(tuple(sorted({word for text in prompts for word in words(text)})))
    return Read(known(queries), named(prompts), f"{known}")


def fitted(trials: Trials, reading: Read, which: Mask, settings: PromptsSettings) -> OutcomeHead:
    """A head fitted to some of the rows.

    Raises:
        InputError: there are too few queries, or trees are asked for and LightGBM is missing.
    """
    query, prompt = trials.query[which], trials.prompt[which]
    crossed = Crossed.of(
        reading.queries[np.unique(query)], reading.prompts[np.unique(trials.prompt)]
    )
    features = crossed(reading.queries[query], reading.prompts[prompt])
    scales = crossed.scales
    return OutcomeHead(crossed, _head(features, trials.outcome[which], query, settings, scales))


def _head(
    features: Tensor,
    outcome: Array,
    query: Codes,
    settings: PromptsSettings,
    scales: Sequence[Tensor] = (),
) -> Head | Boosted:
    outcomes, cluster = torch.from_numpy(outcome).float(), torch.from_numpy(codes(query.tolist()))
    if settings.form == "boosted":
        return grow_outcomes(features, outcomes, cluster, settings.learning)
    form: LayersForm = linear if settings.form == "linear" else mlp(*settings.hidden)
    return fit_outcomes(features, outcomes, cluster, form, settings.learning, scales)


def predicted(trials: Trials, reading: Read, settings: PromptsSettings) -> Array:
    """Probabilities by every member, [member, query, prompt].

    Those of a query of the log come from heads that were fitted to the other folds, those of other
    queries from one that was fitted to all of it.
    """
    fold = trials.fold(settings.n_folds)
    logged = trials.counts.any(1)
    found = np.empty((len(settings.learning.seeds), *trials.counts.shape))
    parts = [(logged & (fold == n), fold[trials.query] != n) for n in range(settings.n_folds)]
    for asked, which in [*parts, (~logged, np.ones(len(trials.rows), dtype=bool))]:
        if asked.any():
            head = fitted(trials, reading, which, settings)
            at = np.flatnonzero(asked)
            found[:, at] = head.table(reading.queries[at], reading.prompts).double().numpy()
    return found


@dataclass(frozen=True)
class AnswerReward:
    """A reward of answers that was fitted to outcomes, and its probabilities out of fold."""

    reward: HeadReward
    out_of_fold: Array
    "[row]"


def answer_reward(
    trials: Trials, encoder: Encoder | None, settings: PromptsSettings
) -> AnswerReward | None:
    """Of the answers of a log, after their queries; None unless every row has one.

    The prompt is not read: what an answer is worth to a query should not depend on who asked for
    it.

    Raises:
        InputError: no word is frequent enough.
    """
    texts = [row.response for row in trials.rows if row.response is not None]
    if len(texts) < len(trials.rows):
        return None
    asked: list[PromptText] = [row.query for row in trials.rows]
    reader: WordCounts | Embeddings
    if encoder is None:
        reader = frequent_words(texts, settings.fitting)
    else:
        reader = Embeddings(encoder, cache=CACHE / "embeddings").standardised(texts, asked)
    features, fold = reader(texts, asked), trials.fold(settings.n_folds)[trials.query]
    out_of_fold = np.empty(len(texts))
    plain = settings if settings.form == "mlp" else settings.model_copy(update={"form": "mlp"})

    def head(which: Mask) -> Head | Boosted:
        return _head(features[which], trials.outcome[which], trials.query[which], plain)

    for number in np.unique(fold):
        inside = fold == number
        members = head(~inside)
        with torch.no_grad():
            scores = torch.sigmoid(members(features[inside])).mean(0)
        out_of_fold[inside] = scores.double().numpy()
    return AnswerReward(HeadReward(reader, head(np.ones(len(texts), dtype=bool))), out_of_fold)
