"""Under which prompts does a policy behave worst? Its answers under each, scored by a reward.

1. The policy answers every query under every candidate prompt, several times.
2. A reward that may be compared between prompts (`irl.jobs.absolute_reward`) scores each answer to
   its query; it does not see the prompt.
3. Half of the answers choose, the other half judge: the lowest of many means is low by luck too,
   and would not be as low again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from irl.data import fold_of
from irl.data.prompt_logs import NamedText
from irl.engine.local import draw_answers
from irl.errors import InputError
from irl.evaluation.prompt_choice import column_means, lowest
from irl.jobs.absolute_reward import AbsoluteReward, absolute_reward
from irl.jobs.encoding import encode_rows, log_refused, within
from irl.jobs.named_reward import reward_sha256
from irl.jobs.prompt_log import refuse_single
from irl.jobs.prompts_report import (
    CHOICES,
    REPORT,
    Choice,
    Judged,
    PromptsRun,
    about,
    advice,
    as_it_is,
    choices_table,
    figures_of,
    named_texts,
    refused_in,
    rows_of,
    summaries,
)
from irl.jobs.prompts_settings import PromptsSettings
from irl.policies.checkpoint import files_sha256, locate
from irl.policies.load import load_full
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.template import PromptText, as_chat, encode_prompt
from irl.records import Caveat, PromptsReport, RedTeamPair
from irl.rewards.features import WordCounts
from irl.rewards.words import words
from irl.runs import RunFolder, open_run

Array = NDArray[np.float64]
MIN_QUERIES = 2


@dataclass(frozen=True)
class Asked:
    """A query under every prompt, as the policy reads it."""

    line: int
    query: NamedText
    texts: tuple[PromptText, ...]


@dataclass(frozen=True)
class Answered:
    """Answers and their rewards, [query, prompt, answer]."""

    queries: list[NamedText]
    prompts: list[NamedText]
    texts: list[str]
    "in that order"
    rewards: Array

    @property
    def halves(self) -> tuple[Array, Array]:
        """Mean rewards of the answers that choose and of those that judge, [query, prompt]."""
        half = self.rewards.shape[2] // 2
        return self.rewards[..., :half].mean(2), self.rewards[..., half:].mean(2)


def behaved_worst(settings: PromptsSettings, out: Path | None, *, fresh: bool) -> PromptsRun:
    """Rank prompts, and pairs of prompt and query, by the rewards of a policy's answers.

    Raises:
        InputError: the reward may not be compared between prompts, or input cannot be used.
        PolicyError: a model cannot be loaded.
        RunError: the run folder cannot be written or holds another run.
    """
    queries, candidates = named_texts(settings)
    assert queries is not None
    assert candidates is not None
    refuse_single(len(candidates.rows))
    if len(queries.rows) < MIN_QUERIES:
        raise InputError(
            f"There is {len(queries.rows)} query; a prompt is judged over several, so give "
            f"{MIN_QUERIES} or more."
        )
    reward = absolute_reward(
        str(settings.reward), declared=settings.absolute, loading=settings.loading
    )
    location = locate(str(settings.policy))
    if location.adapter is not None:
        raise InputError(
            f"{settings.policy} is an adapter; merge it into a full checkpoint to let it answer."
        )
    tables = {"queries": queries, "candidates": candidates}
    inputs = {name: table.sha256 for name, table in tables.items()}
    inputs |= {
        "policy": files_sha256(location.folder),
        "reward": reward_sha256(str(settings.reward)),
    }
    run = open_run("prompts", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return as_it_is(run)
    refused = refused_in(run, tables)
    policy = load_full(location, settings.loading)
    prompts = sorted(rows_of(candidates), key=lambda one: one.id)
    asked, encoded, unread = _encoded(run, policy, rows_of(queries), prompts, settings)
    answered = _answered(policy, reward, asked, encoded, prompts, settings)
    judged = _judged(answered, settings)
    report = _report(run, settings, reward, answered, judged)
    counts = {"refused_rows": refused, "queries_that_cannot_be_read": unread}
    report = report.model_copy(update={"input": counts})
    run.write_text(REPORT, report.to_json())
    run.write_table(CHOICES, choices_table(answered.queries, prompts, judged, report.advice))
    run.write_table("answers.parquet", _answers_table(answered))
    run.finish({"queries": report.queries, "answers": len(answered.texts), **counts})
    return PromptsRun(run, report, was_finished=False)


def together(prompt: str, query: str, settings: PromptsSettings) -> PromptText:
    """A query under a prompt, as a policy reads it."""
    if settings.place == "prefix":
        return as_chat(f"{prompt}{settings.separator}{query}", settings.chat)
    both = ({"role": "system", "content": prompt}, {"role": "user", "content": query})
    return as_chat(both, settings.chat)


def _encoded(
    run: RunFolder,
    policy: Policy,
    queries: Sequence[NamedText],
    prompts: list[NamedText],
    settings: PromptsSettings,
) -> tuple[list[Asked], list[tuple[tuple[int, ...], ...]], int]:
    """Queries that can be read under every prompt; others would be missing under some."""
    room = policy.context_tokens - settings.sampling.max_new_tokens

    def encode(row: Asked) -> tuple[tuple[int, ...], ...]:
        ids = [encode_prompt(policy.tokenizer, text) for text in row.texts]
        within(max(map(len, ids)), room)
        return tuple(ids)

    rows = [
        Asked(one.line, one, tuple(together(prompt.text, one.text, settings) for prompt in prompts))
        for one in sorted(queries, key=lambda one: one.id)
    ]
    kept, encoded, unread = encode_rows(rows, encode, str(settings.queries))
    log_refused(run, str(settings.queries), unread)
    return kept, encoded, len(unread)


def _answered(
    policy: Policy,
    reward: AbsoluteReward,
    asked: list[Asked],
    encoded: list[tuple[tuple[int, ...], ...]],
    prompts: list[NamedText],
    settings: PromptsSettings,
) -> Answered:
    each = settings.sampling.responses_per_prompt
    ids = [one for row in encoded for one in row for _ in range(each)]
    generator = torch.Generator().manual_seed(settings.seed)
    drawn = draw_answers(policy, ids, generator, policy.eos_ids, settings.sampling)
    texts = [response_text(policy.tokenizer, one) for one in drawn]
    queries = [row.query for row in asked]
    of: list[PromptText] = [one.text for one in queries for _ in range(len(prompts) * each)]
    rewards = reward.read(texts, of).reshape(len(queries), len(prompts), each)
    whole: NDArray[np.bool_] = np.asarray(np.isfinite(rewards).all((1, 2)))
    if whole.sum() < MIN_QUERIES:
        raise InputError(
            f"The reward of {reward.name} is finite for all answers to {whole.sum()} of "
            f"{len(queries)} queries only; load it in another dtype."
        )
    kept = np.repeat(whole, len(prompts) * each)
    return Answered(
        [one for one, there in zip(queries, whole, strict=True) if there],
        prompts,
        [text for text, there in zip(texts, kept, strict=True) if there],
        rewards[whole],
    )


def _judged(answered: Answered, settings: PromptsSettings) -> Judged:
    chosen_by, judged_by = answered.halves
    means, everyone = answered.rewards.mean(2), np.arange(len(answered.queries))
    known = [one.text for one in answered.queries]
    counts = WordCounts(tuple(sorted({word for text in known for word in words(text)})))
    fold = np.array([fold_of(one.id, settings.n_folds) for one in answered.queries])
    features = counts(known).double().numpy()
    spread = answered.rewards.std(2, ddof=1) / answered.rewards.shape[2] ** 0.5
    return Judged(
        choice=Choice(
            everyone,
            np.arange(len(answered.prompts)),
            means,
            means - 1.96 * spread,
            means + 1.96 * spread,
        ),
        figures=figures_of(chosen_by, judged_by, features, fold, settings.seed),
        single=int(column_means(means).argmax()),
        known=means,
        complete=len(everyone),
    )


def _report(
    run: RunFolder,
    settings: PromptsSettings,
    reward: AbsoluteReward,
    answered: Answered,
    judged: Judged,
) -> PromptsReport:
    said = [
        Caveat(
            code="rewards-of-answers",
            text="A choice is only as good as the reward, on answers that it was not fitted to; "
            "`again` and regret are by answers that had no part in the choice, scored by the same "
            "reward.",
        )
    ]
    told = advice(judged.figures)
    if told == "one prompt":
        text = "A prompt per query does not beat the best single prompt on other answers, so one "
        said.append(Caveat(code="nothing-gained", text=text + "prompt is advised for all."))
    return PromptsReport(
        **about(run, settings),
        source="policy",
        reward=reward.name,
        unit=reward.unit,
        queries=len(answered.queries),
        candidates=len(answered.prompts),
        judged_queries=judged.complete,
        head=None,
        answer_head=None,
        methods=judged.figures,
        advice=told,
        single=answered.prompts[judged.single].text,
        prompts=summaries(answered.prompts, judged.choice, judged.known, settings.seed),
        red_team=_worst(answered, settings.worst),
        input={},
        caveats=said,
    )


def _worst(answered: Answered, n: int) -> list[RedTeamPair]:
    chosen_by, judged_by = answered.halves
    each, found = answered.rewards.shape[2], []
    for row, column in lowest(chosen_by, n):
        first = (row * chosen_by.shape[1] + column) * each
        worst = int(answered.rewards[row, column].argmin())
        found.append(
            RedTeamPair(
                prompt_id=answered.prompts[column].id,
                prompt=answered.prompts[column].text,
                query=answered.queries[row].text,
                value=float(chosen_by[row, column]),
                again=float(judged_by[row, column]),
                response=answered.texts[first + worst],
            )
        )
    return found


def _answers_table(answered: Answered) -> pa.Table:
    """answers.parquet: one row per answer."""
    m, each = answered.rewards.shape[1:]
    columns = {
        "query_id": np.repeat([one.id for one in answered.queries], m * each),
        "prompt_id": np.tile(
            np.repeat([one.id for one in answered.prompts], each), len(answered.queries)
        ),
        "response": answered.texts,
        "reward": answered.rewards.ravel(),
    }
    return pa.table(columns).replace_schema_metadata({"schema": "irl.prompt-answers/1"})
