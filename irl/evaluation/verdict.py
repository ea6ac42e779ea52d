"""What may be concluded. The only place where numbers become an answer."""

from dataclasses import dataclass

from irl.config import AuditSettings
from irl.evaluation import statements
from irl.evaluation.objectives import Findings
from irl.evaluation.readability import readability
from irl.evaluation.signs import Signs
from irl.records import Caveat, Estimate, Fit, Verdict

NOT_MEASURED = {
    "seed-spread": "The method has run with one seed, so mean, sd, min, max and sign_flip_share of "
    "recovery are null.",
}
"Parts of the report that this version leaves unmeasured"
_IDENTICAL = Caveat(
    code="identical-checkpoints",
    text="Both checkpoints give every token the same probability, so there is nothing to measure.",
)
_ALWAYS = [
    Caveat(
        code="calibrated-on-small-models",
        text="The effect sizes from which on something is called an objective were tried on plain "
        "fine-tunes of small models in a made-up language (docs/results/nulls.json); on other "
        "models they may find too much or too little.",
    ),
    Caveat(
        code="on-distribution-only",
        text="The log-ratio speaks of answers that these policies give; it loses accuracy out "
        "of distribution (2409.03650).",
    ),
    Caveat(
        code="up-to-prompt-constant",
        text="Rewards are known up to a constant of each prompt and in units of the unknown "
        "beta; rewards of different prompts cannot be compared.",
    ),
]
_TOO_FEW = Caveat(
    code="too-few-prompts",
    text="Intervals need answers to two prompts at least, and objectives are judged on other "
    "prompts than those they are chosen on; what too few prompts leave open is null.",
)
_CONSTANT = Caveat(
    code="constant-reward",
    text="The recovered reward is the same for all answers to a prompt, so it has no rank.",
)
_NO_VARIANCE = Caveat(
    code="constant-log-ratio",
    text="All answers to a prompt have the same log-ratio, so there is no variance to explain.",
)


@dataclass(frozen=True)
class Figures:
    """What was measured beside the objectives."""

    fit: Fit
    "how well all terms together stand in for the log-ratio"
    terms_sd_nats: Estimate | None
    "how far they move the responses of a prompt"
    per_word: Estimate | None
    "what every word goes with beside them"
    signs: Signs
    "what the answers say of the training"
    odds_error: Estimate | None
    "calibration error of the recovered reward as odds of who wrote an answer"


def verdict(
    findings: Findings,
    settings: AuditSettings,
    figures: Figures,
    *,
    identical: bool,
    extra: list[Caveat],
) -> Verdict:
    """The verdict with its caveats.

    Its figures are those of the strongest candidate. Any fine-tune explains its own log-ratio
    better than chance, so that an objective is found takes an effect size beside the p value.

    Args:
        findings: the search for objectives.
        settings: the thresholds, and what the user says of the training.
        figures: what was measured beside the objectives.
        identical: the checkpoints are the same, so nothing can have been learnt.
        extra: caveats of the input and the pair.
    """
    fit, signs = figures.fit, figures.signs
    if identical:
        return _of_identical([*_undefined(fit), *extra])
    best = findings.best
    measured = best is not None and best.r2 is not None
    found = best.found if best is not None and measured else None
    readings = [] if found is None else readability(settings.trained_with, found=found, signs=signs)
    said = list(statements.of_findings(findings, settings.deciding))
    priced = any(one.kind == "length" for one in findings.objectives)
    said += statements.of_fit(fit, figures.terms_sd_nats, None if priced else figures.per_word)
    said += statements.of_odds(figures.odds_error)
    said += statements.of_signs(signs.spillover, signs.entropy_lost) if found else []
    return Verdict(
        objective_found=found,
        p_value=best.p_value if best is not None and measured else None,
        explained_r2=best.r2 if best else None,
        explained_sd_nats=best.sd_nats if best and measured else None,
        readability=readings[0].readability if readings else None,
        statements=said,
        caveats=[
            *(reading.caveat for reading in readings),
            *_ALWAYS,
            *_undefined(fit, findings),
            *extra,
            *_unmeasured(),
        ],
    )


def _of_identical(caveats: list[Caveat]) -> Verdict:
    return Verdict(
        objective_found=False,
        p_value=None,
        explained_r2=None,
        explained_sd_nats=None,
        readability="unreadable",
        statements=["The two checkpoints are identical: there is no objective to find."],
        caveats=[_IDENTICAL, *caveats, *_unmeasured()],
    )


def _undefined(fit: Fit, findings: Findings | None = None) -> list[Caveat]:
    """Why figures are null; `findings` only where they were looked for."""
    if fit.membership_auc is None or (findings is not None and findings.best is None):
        return [_TOO_FEW]
    missing = []
    if findings is not None and findings.best is not None and findings.best.r2 is None:
        missing.append(_NO_VARIANCE)
    if fit.spearman_with_log_ratio is None:
        missing.append(_CONSTANT)
    return missing


def _unmeasured() -> list[Caveat]:
    return [Caveat(code=f"not-measured-{code}", text=text) for code, text in NOT_MEASURED.items()]
