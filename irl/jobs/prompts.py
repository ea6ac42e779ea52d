"""The job `irl prompts`: which prompt for which query, and under which a policy behaves worst.

From a log of outcomes (Prompt-OIRL, 2309.06553):

1. Fit an ensemble of outcome heads to the log, five-fold by query; predict every candidate prompt
   on every query by heads that have not seen the query.
2. Hold what they choose, best and worst, against the oracle, beside the best single prompt, a
   random one and the nearest query's.
3. Advise one prompt per query only where that beats the best single prompt out of fold; else there
   is nothing to gain, and one prompt for all loses least. (Prompt-OIRL falls back from new prompts
   to known ones below a probability of one half; what is measured here needs no such number.)

From a policy: see `irl.jobs.red_team`.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from irl.data.prompt_logs import read_prompt_log
from irl.data.rows import Table
from irl.evaluation.outcome_figures import outcome_figures
from irl.evaluation.prompt_choice import best_single, lowest
from irl.jobs.absolute_reward import LABELS
from irl.jobs.prompt_log import Trials, answer_reward, predicted, read
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
from irl.jobs.red_team import behaved_worst
from irl.policies.encoder import load_encoder
from irl.policies.quiet import quiet_libraries
from irl.records import Caveat, OutcomeFigures, PromptsReport, RedTeamPair
from irl.runs import open_run

Array = NDArray[np.float64]
FEW_QUERIES: Final = 50


def choose_prompts(
    settings: PromptsSettings | None = None,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    **given: Any,
) -> PromptsRun:
    """Choose prompts into a run folder; a finished run is returned as it is.

    Args:
        settings: all of them; None takes those that are `given` by name.
        out: the run folder; artifacts/runs/<run_id> if None.
        fresh: repeat a finished run.
        given: settings of `irl prompts`, such as log or policy.

    Raises:
        InputError: the log, reward or settings cannot be used.
        PolicyError: a model cannot be loaded.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    settings = settings or PromptsSettings.checked(given)
    folder = None if out is None else Path(out)
    if settings.policy is not None:
        return behaved_worst(settings, folder, fresh=fresh)
    return _from_log(settings, folder, fresh=fresh)


def _from_log(settings: PromptsSettings, out: Path | None, *, fresh: bool) -> PromptsRun:
    log = read_prompt_log(str(settings.log))
    queries, candidates = named_texts(settings)
    trials = Trials.of(log.rows, rows_of(queries), rows_of(candidates))
    base = settings.base
    encoder = base and load_encoder(base, settings.loading, settings.chat, settings.pooling)
    tables: dict[str, Table[Any] | None] = {
        **{"log": log, "queries": queries, "candidates": candidates}
    }
    inputs = {name: table.sha256 for name, table in tables.items() if table is not None}
    inputs |= {"base": encoder.sha256} if encoder else {}
    run = open_run("prompts", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return as_it_is(run)
    refused = refused_in(run, tables)
    reading = read(trials, encoder or None, settings)
    members = predicted(trials, reading, settings)
    answers = answer_reward(trials, encoder or None, settings)
    if answers is not None:
        seeds = settings.learning.seeds
        answers.reward.save(run.path / "reward", "head", **LABELS, seeds=seeds)
    judged = judge(trials, members, reading.queries.double().numpy(), settings)
    n, seed = len(settings.learning.seeds), settings.seed

    def outside(probability: Array) -> OutcomeFigures:
        return outcome_figures(probability, trials.outcome, trials.query, seed)

    report = PromptsReport(
        **about(run, settings),
        source="log",
        reward=f"{n} members ({settings.form}) on {reading.by} of query and prompt",
        unit="probability of success",
        queries=int(trials.asked.sum()),
        candidates=int(trials.candidate.sum()),
        judged_queries=judged.complete,
        head=outside(members.mean(0)[trials.query, trials.prompt]),
        answer_head=None if answers is None else outside(answers.out_of_fold),
        methods=judged.figures,
        advice=advice(judged.figures),
        single=trials.prompts[judged.single].text,
        prompts=summaries(trials.prompts, judged.choice, judged.known, seed),
        red_team=red_team(trials, judged.choice, settings.worst),
        input={"refused_rows": refused, **trials.odd},
        caveats=caveats(trials, judged),
    )
    run.write_text(REPORT, report.to_json())
    run.write_table(CHOICES, choices_table(trials.queries, trials.prompts, judged, report.advice))
    run.finish({"queries": report.queries, "trials": len(trials.rows), "refused_rows": refused})
    return PromptsRun(run, report, was_finished=False)


def judge(trials: Trials, members: Array, features: Array, settings: PromptsSettings) -> Judged:
    """Hold the choices among candidates that were tried against the oracle."""
    known = trials.table
    tried = np.flatnonzero(trials.candidate & trials.counts.any(0))
    logged = np.flatnonzero(trials.counts[:, tried].any(1))
    outcomes, mean = known[np.ix_(logged, tried)], members.mean(0)[np.ix_(logged, tried)]
    fold = trials.fold(settings.n_folds)[logged]
    figures = figures_of(mean, outcomes, features[logged], fold, settings.seed)
    everyone = np.ones(len(logged), dtype=bool)
    asked, among = np.flatnonzero(trials.asked), np.flatnonzero(trials.candidate)
    theirs = members[:, asked][:, :, among]
    low, high = np.quantile(theirs, [0.025, 0.975], axis=0)
    choice = Choice(asked, among, theirs.mean(0), low, high)
    single = (
        int(tried[best_single(outcomes, everyone).argmax()])
        if len(tried)
        else int(among[choice.value.mean(0).argmax()])
    )
    complete = int(np.isfinite(outcomes).all(1).sum()) if len(tried) else 0
    return Judged(choice, figures, single, known, complete)


def red_team(trials: Trials, choice: Choice, n: int) -> list[RedTeamPair]:
    """The pairs that are predicted worst, with what the log says of them."""
    found = []
    for row, column in lowest(choice.value, n):
        query, prompt = int(choice.queries[row]), int(choice.prompts[column])
        known = float(trials.table[query, prompt])
        found.append(
            RedTeamPair(
                prompt_id=trials.prompts[prompt].id,
                prompt=trials.prompts[prompt].text,
                query=trials.queries[query].text,
                value=float(choice.value[row, column]),
                again=known if np.isfinite(known) else None,
                response=None,
            )
        )
    return found


def caveats(trials: Trials, judged: Judged) -> list[Caveat]:
    """What must be known before the choices are used."""
    logged = int(trials.counts.any(1).sum())
    new = int((trials.candidate & ~trials.counts.any(0)).sum())
    said = {
        "hindsight-oracle": judged.complete
        and "The oracle knows how every trial ended, by luck too; where outcomes are chances, no "
        "choice that is made beforehand has regret 0.",
        "no-oracle": not judged.complete
        and "On no query was every candidate prompt tried, so regret is not known; mean outcomes "
        "are those of trials that happen to be of a method's choice, unbiased only if prompts were "
        "tried at random.",
        "nothing-gained": advice(judged.figures) == "one prompt"
        and "A prompt per query does not beat the best single prompt out of fold, so one prompt is "
        "advised for all.",
        "new-prompts": new
        and f"{new} of the candidates were never tried; nothing that was held out says how well "
        "they are predicted.",
        "few-queries": logged < FEW_QUERIES
        and f"The log has outcomes of {logged} queries only; every figure is coarse.",
    }
    return [Caveat(code=code, text=text) for code, text in said.items() if text]
