"""The job `irl trust`: may this reward be believed on this policy, and which answers need a person?

1. Read the ensemble's data again, and split them as it did.
2. Draw the policy's answers (or read them), and the data policy's answers to the same prompts.
3. Measure: KL and effective sample size, variance over members, distance to what it was fitted to;
   bands come from its held-out pairs, and the lamp is the worst of all.
4. Sort every response: unlike anything known, near errors, close, or settled; and say how well each
   detector finds what is planted for it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from irl.bootstrap import share
from irl.errors import InputError
from irl.evaluation.accuracy import wins
from irl.evaluation.pair_figures import mean_of
from irl.evaluation.triage import (
    CATEGORIES,
    Sorted,
    Triage,
    local_error,
    margin,
    margin_limit,
    triage,
)
from irl.evaluation.trust import (
    Limits,
    lamp,
    limit_of,
    spread,
    uncertainty,
)
from irl.evaluation.trust_measures import Judged, Judgement, Seen, grouped, groups_of, measured
from irl.jobs.encoding import log_refused
from irl.jobs.named_reward import reward_sha256
from irl.jobs.trust_answers import (
    Answers,
    Asked,
    Drawn,
    asked_of,
    drawn,
    nats_of_data,
)
from irl.jobs.trust_grounds import Grounds, grounds_of, sampled
from irl.jobs.trust_policies import Policies, load_policies, policy_sha256
from irl.jobs.trust_settings import TrustSettings
from irl.jobs.trust_surroundings import Surroundings, surroundings_of
from irl.jobs.trust_table import triage_table
from irl.policies.encoder import of_policy
from irl.policies.quiet import quiet_libraries
from irl.policies.served.policy import served_caveats
from irl.records import Caveat, Estimate
from irl.records.trust import TRUST_SCHEMA, Signal, TriageCounts, TrustMeasures, TrustReport
from irl.rewards.words import words
from irl.runs import RunFolder, now, open_run, read_record, versions

Array = NDArray[np.float64]
REPORT, TABLE = "trust.json", "triage.parquet"
_ELSEWHERE_NATS = 0.25
"Per token; data that cost so much more than the policy's own answers were written by another"
_DATA_ANSWERS = 512
"Of the fitted ones, held against the policy that is said to have written them"


@dataclass(frozen=True)
class TrustRun:
    """A finished answer; triage.parquet lies in the run folder."""

    run: RunFolder
    report: TrustReport
    was_finished: bool


@dataclass(frozen=True)
class Written:
    """Nats per token under the data's policy, and whether another one wrote the data."""

    data: Estimate
    own: Estimate
    apart: bool


@dataclass(frozen=True)
class Examined:
    """What one policy's responses come to."""

    drawn: Drawn
    written: Written
    ours: Answers
    "those that all members score"
    not_finite: int
    "how many others there are"
    seen: Seen
    sorted: Sorted
    judged: Judgement
    "what the measures were held to"
    measures: TrustMeasures
    signals: list[Signal]


def trust(
    settings: TrustSettings | None = None,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    **given: Any,
) -> TrustRun:
    """Ask into a run folder; a finished run is returned as it is.

    Args:
        settings: all of them; None takes those that are `given` by name.
        out: the run folder; artifacts/runs/<run_id> if None.
        fresh: repeat a finished run.
        given: settings of `irl trust`, such as reward, policy or responses.

    Raises:
        InputError: the reward, its data, the responses or the settings cannot be used.
        PolicyError: a policy cannot be loaded.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    settings = settings or TrustSettings.checked(given)
    grounds = grounds_of(str(settings.reward))
    asked = asked_of(settings, grounds)
    folder = None if out is None else Path(out)
    inputs = _inputs(settings, grounds, asked)
    run = open_run("trust", settings.model_dump(mode="json"), inputs, folder, fresh=fresh)
    if run.finished:
        return TrustRun(run, read_record(run.path / REPORT, TrustReport), was_finished=True)
    report, table = answer(run, settings, grounds, load_policies(settings, grounds), asked)
    run.write_table(TABLE, table)
    run.write_text(REPORT, report.to_json())
    run.finish({"responses": report.measures.responses, "prompts": report.measures.prompts})
    return TrustRun(run, report, was_finished=False)


def examined(
    settings: TrustSettings,
    grounds: Grounds,
    around: Surroundings,
    policies: Policies,
    asked: Asked,
) -> Examined:
    """Draw, score, measure and sort.

    Raises:
        InputError: no prompt or response can be used.
    """
    found = drawn(settings, policies, asked)
    written = _who_wrote_it(settings, grounds, policies, found)
    ours, scores, odd = _finite(grounds, found.ours)
    theirs = _scores(grounds, found.theirs)
    if not np.isfinite(theirs).all():
        raise InputError("The reward scores answers of the data's own policy as NaN or infinite.")
    own = theirs.reshape(len(theirs), len(found.prompts), -1)
    sort = _sorted(grounds, around, (ours, scores), own)
    known = not written.apart
    seen = Seen(
        _judged(ours, scores, known=known),
        _judged(found.theirs, theirs, known=known),
        sort.said,
        sort.distance,
    )
    limits = Limits(len(grounds.fitted), limit_of(spread(grounds.margins)), around.limit)
    judged = Judgement(limits, _accuracy_of(grounds, settings.seed), around.detectors[0].auc)
    measures = measured(seen, limits, seed=settings.seed)
    given = judged.signals(measures)
    return Examined(found, written, ours, odd, seen, sort, judged, measures, given)


def _accuracy_of(grounds: Grounds, seed: int) -> Estimate | None:
    """Of the mean of the members on the held-out pairs."""
    right = wins(grounds.margins.mean(0))
    return share(mean_of(right, grounds.held_out.cluster, seed))


def answer(
    run: RunFolder, settings: TrustSettings, grounds: Grounds, policies: Policies, asked: Asked
) -> tuple[TrustReport, pa.Table]:
    """Ask about policies that are loaded: the report, and the table of every response.

    Raises:
        InputError: no prompt or response can be used.
    """
    encoder = of_policy(policies.reader, settings.chat, tokenizer=policies.renders.tokenizer)
    around = surroundings_of(grounds, encoder, settings)
    one = examined(settings, grounds, around, policies, asked)
    found, seed = one.drawn, settings.seed
    log_refused(run, found.source, found.refused)
    groups = groups_of([row.text for row in found.typed], [row.type for row in found.typed])
    report = TrustReport(
        schema=TRUST_SCHEMA,
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        reward=str(settings.reward),
        members=len(grounds.margins),
        source=found.source,
        data_policy=policies.written_by,
        data_nats_per_token=one.written.data,
        own_nats_per_token=one.written.own,
        fitted_answers=len(grounds.fitted),
        held_out_pairs=len(grounds.held_out),
        held_out_accuracy=one.judged.accuracy,
        neighbours=settings.neighbours,
        lamp=lamp(one.signals),
        signals=one.signals,
        measures=one.measures,
        groups=grouped(one.seen, one.judged, groups, seed),
        triage=_counts(one.sorted.triage, one.ours.prompt, seed),
        detectors=around.detectors,
        input={"refused_rows": len(found.refused), "scored_not_finite": one.not_finite},
        caveats=(
            *_caveats(settings, grounds, apart=one.written.apart),
            *served_caveats(*policies.every),
        ),
    )
    kept, held = (one.ours, one.seen.ours.reward), (around.held, grounds.wrong)
    return report, triage_table(found.prompts, groups, kept, one.sorted, held, settings.shown)


def _inputs(settings: TrustSettings, grounds: Grounds, asked: Asked) -> dict[str, str]:
    hashes = {"reward": reward_sha256(str(grounds.run)), **asked.sha256}
    revisions = settings.loading.aligned_revision, settings.loading.reference_revision
    for name, revision in zip(("policy", "reference"), revisions, strict=True):
        source = getattr(settings, name)
        if source is not None:
            hashes[name] = policy_sha256(source, revision)
    return hashes


def _sorted(
    grounds: Grounds,
    around: Surroundings,
    ours: tuple[Answers, Array],
    theirs: Array,
) -> Sorted:
    answers, scores = ours
    said = uncertainty(scores, theirs, answers.prompt, grounds.scale)
    flat = theirs.reshape(len(theirs), -1)
    numbers = np.repeat(np.arange(theirs.shape[1]), theirs.shape[2])
    own = uncertainty(flat, theirs, numbers, grounds.scale, own=True)
    vectors = around.encoder.encode(answers.asked, answers.texts)
    distance = around.distance(vectors)
    near = around.held_near(vectors)
    local = local_error(near, grounds.held.pair_of[around.held.at], grounds.wrong)
    error = float(grounds.wrong.mean())
    close = margin_limit(margin(own.probability), error)
    told = triage(distance, margin(said.probability), local, (around.limit, close, error))
    return Sorted(told, said, distance, near, local)


def _who_wrote_it(
    settings: TrustSettings, grounds: Grounds, policies: Policies, found: Drawn
) -> Written:
    """Of the data and of the data policy's own answers."""
    fitted = grounds.fitted
    at = sampled(len(fitted), _DATA_ANSWERS, settings.seed)
    texts, prompts = [fitted.texts[one] for one in at], [fitted.prompts[one] for one in at]
    nats = nats_of_data(policies, texts, prompts, settings.chat, settings.token_budget)
    known = np.isfinite(nats)
    data = mean_of(nats[known], fitted.cluster[at][known], settings.seed)
    own = mean_of(found.theirs.data_nats_per_token, found.theirs.prompt, settings.seed)
    if data is None or own is None:
        raise InputError(
            "At least two prompts are needed, of the policy and of what the reward was fitted to."
        )
    apart = data.high < own.low and own.value - data.value > _ELSEWHERE_NATS
    return Written(data, own, apart)


def _scores(grounds: Grounds, answers: Answers) -> Array:
    with torch.inference_mode():
        scores: Array = grounds.ensemble.members(answers.texts, answers.asked).double().numpy()
    return scores


def _finite(grounds: Grounds, answers: Answers) -> tuple[Answers, Array, int]:
    """The responses that all members score, their scores, and how many there are of the others."""
    scores = _scores(grounds, answers)
    kept: NDArray[np.bool_] = np.asarray(np.isfinite(scores).all(0))
    if not kept.any():
        raise InputError(f"None of the {len(kept)} responses has finite scores.")
    return answers.at(kept), scores[:, kept], int((~kept).sum())


def _judged(answers: Answers, scores: Array, *, known: bool) -> Judged:
    lengths = np.array([float(len(words(text))) for text in answers.texts])
    ratio = answers.log_ratio if known else None
    return Judged(answers.prompt, scores.mean(0), lengths, ratio)


def _counts(found: Triage, prompt: NDArray[np.int64], seed: int) -> list[TriageCounts]:
    category = np.array(found.category)
    counts = []
    for name in CATEGORIES:
        here = category == name
        estimate = share(mean_of(here.astype(float), prompt, seed))
        if estimate is None:
            raise InputError("Responses to at least two prompts are needed.")
        counts.append(TriageCounts(category=name, share=estimate, responses=int(here.sum())))
    return counts


def _caveats(settings: TrustSettings, grounds: Grounds, *, apart: bool) -> tuple[Caveat, ...]:
    said = {
        "policy-unknown": settings.policy is None
        and "Who wrote the responses is not known, so neither are KL and effective sample size; "
        "what is left cannot turn the light green.",
        "policy-said": settings.policy is not None
        and settings.responses is not None
        and "The responses are held to be drawn from the policy at temperature 1; KL has no "
        "meaning if they were not.",
        "data-from-elsewhere": apart
        and "What the reward was fitted to is far less likely under the data's policy than that "
        "policy's own answers are: another one wrote it, so KL and effective sample size to the "
        "data are not known.",
        "no-odds": not grounds.scale
        and "Members do not rank held-out pairs better than chance, so there are no odds.",
        "members-share-errors": "Members share data and features, hence errors: little variance "
        "is no evidence of being right.",
    }
    return tuple(Caveat(code=code, text=text) for code, text in said.items() if text)
