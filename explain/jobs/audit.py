"""The job `irl audit`: two checkpoints in, report.json, report.html and a gate out.

1. Load the pair; sample K answers per prompt from both sides; score each under both.
2. Find objectives: few terms, length or one condition on the prompt that explain enough.
   Recover: a sparse term reward fitted to the summed log-ratios, within prompts, cross-fitted.
3. Judge: fit out of fold; agreement with given labels, of the log-ratio and of the recovered
   reward; drift; terms paid for, and terms that merely changed; declared aspects.
4. Write the tables and the reward; with `full`, explain the same answers in every other way.
5. Hold the report against the gate, and write it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explain.aspect_files import AspectSet
from explain.aspect_prices import Answered, Priced
from explain.aspect_words import aspect_caveats
from explain.caveats import run_caveats
from explain.context_prices import context_prices
from explain.context_words import context_caveats, matter
from explain.exchange import Exchange
from explain.jobs.aspects import aspects_table, declared_aspects, price_answers
from explain.report import render_run
from explain.terms import Said, changed_terms, paid_terms, price_per_word
from irl.config import AuditSettings
from irl.engine.engine import HERE, Engine
from irl.engine.shards import Progress, silent
from irl.evaluation.calibration import membership_error
from irl.evaluation.drift import drift
from irl.evaluation.fit import explained_sd_nats
from irl.evaluation.gate import apply_gate, read_gate
from irl.evaluation.objectives import Findings
from irl.evaluation.verdict import Figures, verdict
from irl.jobs.agreement import Agreement, agreement, read_labels
from irl.jobs.answers import Answers
from irl.jobs.clock import Clock, peak_memory_bytes
from irl.jobs.identifiability import contracted, identified
from irl.jobs.known_truth import KnownTruth, known_truth, truth_hash
from irl.jobs.objectives import search, signs_of_training
from irl.jobs.recovery import against_truth, fit_figures, fit_reward, write_recovered
from irl.jobs.scoring import (
    Sampled,
    input_hashes,
    prompts_of,
    sample_and_score,
)
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.quiet import quiet_libraries
from irl.records import AuditReport, Contexts, Fit, Pair, Recovery
from irl.recovery.contexts import CONTEXTS_FILE
from irl.recovery.log_ratio import TermFit
from irl.runs import RunFolder, file_sha256, now, open_run, read_record, versions


@dataclass(frozen=True)
class Audit:
    """A finished audit."""

    run: RunFolder
    report: AuditReport
    was_finished: bool
    "True if the run was found finished and nothing was done"


def audit(
    pair: PolicyPair,
    *,
    prompts: str | Path,
    out: str | Path | None = None,
    fresh: bool = False,
    **settings: Any,
) -> AuditReport:
    """Audit a loaded pair from a script; `settings` are those of `AuditSettings`.

    Raises:
        InputError: a file or setting cannot be used.
        RunError: the run folder cannot be written or holds another run.
    """
    sources = {side: getattr(pair, side).checkpoint.source for side in ("aligned", "reference")}
    resolved = AuditSettings.read(None, [], {**sources, "prompts": str(prompts), **settings})
    return run_audit(resolved, None if out is None else Path(out), fresh=fresh, pair=pair).report


def run_audit(
    settings: AuditSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    engine: Engine = HERE,
    pair: PolicyPair | None = None,
) -> Audit:
    """Audit the pair that the settings name; continue an unfinished run, return a finished one."""
    quiet_libraries()
    clock = Clock()
    rules = read_gate(Path(settings.gate)) if settings.gate else []
    declared = declared_aspects(settings.aspects, allow_code=settings.allow_code)
    prompts, labels = prompts_of(settings), read_labels(settings.preferences)
    with clock.stage("loading"):
        weights = engine.models_here or settings.full  # explanations are computed here
        pair = pair or load_pair(
            settings.aligned, settings.reference, settings.loading, weights=weights
        )
    inputs = input_hashes(pair, prompts, labels) | _more_hashes(settings, declared)
    run = open_run("audit", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        report = read_record(run.path / "report.json", AuditReport)
        return Audit(run, report, was_finished=True)
    sampled = sample_and_score(run, pair, prompts, settings, clock, progress, engine)
    with clock.stage("objectives"):
        findings = search(run, sampled.answers, settings)
    with clock.stage("recovery"):
        term_fit = fit_reward(run, sampled.answers, settings, findings.where)
    with clock.stage("scoring"):
        agreed = agreement(run, pair, term_fit.reward, labels, settings, progress, engine)
    with clock.stage("aspects"):
        priced = _aspects(run, sampled.answers, declared, settings)
    with clock.stage("contexts"):
        contexts = _contexts(run, sampled.answers, settings)
    with clock.stage("evaluation"):
        known = known_truth(settings, sampled.answers)
        recovered = _Recovered(findings, term_fit, agreed, priced, contexts, known)
        report = _judge(run, pair, sampled, recovered, settings)
    with clock.stage("writing"):
        write_recovered(run, sampled.answers, term_fit, settings, known)
    if settings.full:
        from explain.jobs.full import Audited, with_explanations  # loads captum

        report = with_explanations(
            Audited(run, pair, settings, prompts, labels, report, clock, progress)
        )
    update = {
        "gate": apply_gate(rules, report.model_dump(mode="json", by_alias=True)),
        "timings_seconds": dict(clock.seconds),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    report = report.model_copy(update=update)
    run.write_text("report.json", report.to_json())
    run.write_text("report.html", render_run(run.path, report))
    run.finish(sampled.counts)
    return Audit(run, report, was_finished=False)


def _more_hashes(settings: AuditSettings, declared: AspectSet) -> dict[str, str]:
    """Of what an audit reads beside the pair, its prompts and labels."""
    found = truth_hash(settings)
    if settings.gate:
        found["gate"] = file_sha256(Path(settings.gate))
    if settings.aspects:
        found["aspects"] = declared.sha256
    return found


@dataclass(frozen=True)
class _Recovered:
    findings: Findings
    term_fit: TermFit
    agreed: Agreement
    priced: Priced
    contexts: Contexts
    known: KnownTruth | None


def _aspects(
    run: RunFolder, answers: Answers, declared: AspectSet, settings: AuditSettings
) -> Priced:
    """Measure and price the declared aspects; aspects.parquet holds their values."""
    answered = Answered(
        response_ids=answers.response_ids,
        returns=answers.returns,
        aligned=answers.aligned,
        prompt=answers.prompt,
        fold=answers.fold(settings.fitting.n_folds),
    )
    exchanges = [
        Exchange(answers.prompts[at], text, answers.prompt_types[at])
        for at, text in zip(answers.prompt.tolist(), answers.texts, strict=True)
    ]
    priced, values = price_answers(declared, exchanges, answered, settings.seed)
    run.write_table("aspects.parquet", aspects_table(answers.response_ids, declared, values))
    return priced


def _contexts(run: RunFolder, answers: Answers, settings: AuditSettings) -> Contexts:
    """Words whose price depends on the words before them; if they matter, the run keeps them."""
    fold, fitting = answers.fold(settings.fitting.n_folds), settings.fitting
    about = (answers.returns, answers.prompt, fold, fitting, settings.seed)
    found, fit = context_prices(answers.texts, *about)
    if matter(found):
        fit.prices.save(run.path / "reward" / CONTEXTS_FILE)
    return found


def _judge(
    run: RunFolder,
    pair: PolicyPair,
    sampled: Sampled,
    recovered: _Recovered,
    settings: AuditSettings,
) -> AuditReport:
    answers = sampled.answers
    findings, term_fit, agreed = recovered.findings, recovered.term_fit, recovered.agreed
    known, figures = recovered.known, _figures(answers, recovered, settings)
    identical = pair.identical() or not answers.returns.any()
    opened = identified(answers, term_fit, settings)
    extra = run_caveats(sampled, pair, agreed, opened, settings)
    extra += aspect_caveats(recovered.priced)
    extra += context_caveats(recovered.contexts)
    return AuditReport(
        schema="irl.audit/1",
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        settings=run.settings,
        pair=Pair(
            aligned=pair.aligned.checkpoint,
            reference=pair.reference.checkpoint,
            trained_with=settings.trained_with,
        ),
        verdict=verdict(findings, settings, figures, identical=identical, extra=extra),
        objectives=[] if identical else findings.objectives,
        terms=paid_terms(
            term_fit,
            Said(answers.texts, answers.visible, answers.log_ratios, answers.asked_of),
        ),
        changed=changed_terms(
            answers.texts, answers.aligned, answers.prompt, term_fit.reward.terms, settings.fitting
        ),
        fit=figures.fit,
        accuracy=agreed.rows,
        aspects=recovered.priced.aspects,
        aspects_r2=recovered.priced.r2,
        aspect_residuals=recovered.priced.residuals,
        drift=drift(
            answers.log_ratios,
            answers.pieces,
            answers.aligned,
            [answers.prompt_ids[at] for at in answers.prompt],
            settings.seed,
        ),
        recovery=[_recovery(settings, term_fit, figures.fit, agreed)],
        identifiability=opened.record,
        contexts=recovered.contexts,
        contraction=contracted(answers, term_fit, settings, known),
        truth=against_truth(known, term_fit, answers, settings),
        gate=[],
        timings_seconds={},
        peak_memory_bytes=0,
    )


def _figures(answers: Answers, recovered: _Recovered, settings: AuditSettings) -> Figures:
    term_fit, prompt, seed = recovered.term_fit, answers.prompt, settings.seed
    return Figures(
        fit_figures(term_fit, answers, settings),
        explained_sd_nats(term_fit.out_of_fold, prompt, seed),
        price_per_word(term_fit, len(answers.prompts)),
        signs_of_training(answers, recovered.findings, term_fit.reward, settings),
        membership_error(term_fit.out_of_fold, answers.aligned, prompt, seed),
    )


def _recovery(
    settings: AuditSettings, term_fit: TermFit, figures: Fit, agreed: Agreement
) -> Recovery:
    own = [row.preference for row in agreed.rows if row.scorer == "recovered"]
    return Recovery(
        method=settings.method,
        seeds=1,
        heldout_accuracy=own[0] if own else None,
        auc=figures.membership_auc,
        spearman_with_log_ratio=figures.spearman_with_log_ratio,
        mean=None,
        sd=None,
        min=None,
        max=None,
        sign_flip_share=None,
        status="fitted" if term_fit.reward.terms else "no term found",
    )
