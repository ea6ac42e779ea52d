"""What may be concluded. The only place where numbers become an answer."""

from irl.records import Caveat, Estimate, Fit, Verdict

NOT_MEASURED = {
    "p-value": "No test against chance has been made, so p_value is null.",
    "readability": "Whether the log-ratio can be read as a reward, or only as an order, has not "
    "been measured, so readability is null.",
    "ece": "Calibration needs the scale beta of the reward, which the checkpoints do not hold, so "
    "ece is null.",
    "objectives": "Terms are not yet grouped into objectives, so objectives is empty.",
    "identifiability": "The posterior and the null directions have not been computed, so "
    "identifiability is null.",
    "seed-spread": "The method has run with one seed, so mean, sd, min, max and sign_flip_share of "
    "recovery are null.",
    "aspects": "No aspects were declared, so aspects is empty and aspects_r2 null.",
}
"Parts of the report that this version leaves unmeasured"


def verdict(
    *,
    identical: bool,
    fit: Fit,
    explained_sd_nats: Estimate | None,
    per_word: Estimate | None,
    extra: list[Caveat],
) -> Verdict:
    """The verdict with its caveats.

    `objective_found` stays null: any fine-tune explains its own log-ratio better than chance, and
    the effect size that separates an objective from that has not been calibrated. Identical
    checkpoints are the exception, where nothing can have been learnt.
    """
    found = False if identical else None
    return Verdict(
        objective_found=found,
        p_value=None,
        explained_r2=None if identical else fit.r2,
        explained_sd_nats=None if identical else explained_sd_nats,
        readability=None,
        statements=_statements(identical, fit, explained_sd_nats, per_word),
        caveats=[*_caveats(identical), *_undefined(fit), *extra, *_unmeasured()],
    )


def _statements(
    identical: bool, fit: Fit, sd: Estimate | None, per_word: Estimate | None
) -> list[str]:
    if identical:
        return ["The two checkpoints are identical: there is no objective to find."]
    statements = []
    if fit.r2 is not None and sd is not None:
        statements.append(
            f"Term counts explain {_interval(fit.r2)} of the within-prompt variance of the "
            f"summed log-ratio on prompts they were not fitted to, a movement of "
            f"{_interval(sd)} nats (sd) per response; {fit.r2.n} prompts."
        )
    if fit.membership_auc is not None:
        statements.append(
            f"The recovered reward puts an aligned answer above a reference answer to the same "
            f"prompt with probability {_interval(fit.membership_auc)}."
        )
    if per_word is not None:
        statements.append(
            f"Beside the terms, every word goes with {_interval(per_word)} nats, whatever it is: "
            "a price of length, or mere drift; the two are not told apart here."
        )
    return statements


def _caveats(identical: bool) -> list[Caveat]:
    if identical:
        return [
            Caveat(
                code="identical-checkpoints",
                text="Both checkpoints give every token the same probability.",
            )
        ]
    return [
        Caveat(
            code="verdict-not-calibrated",
            text="Any fine-tune explains its own log-ratio better than chance; the effect size "
            "that separates an objective from that is not calibrated yet, so objective_found is "
            "null.",
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


def _undefined(fit: Fit) -> list[Caveat]:
    if fit.membership_auc is None:
        code = "too-few-prompts"
        why = "Intervals need answers to two prompts at least, so fit and drift are null."
    elif fit.spearman_with_log_ratio is None:
        code = "constant-reward"
        why = "The recovered reward is the same for all answers to a prompt, so it has no rank."
    else:
        return []
    return [Caveat(code=code, text=why)]


def _unmeasured() -> list[Caveat]:
    return [Caveat(code=f"not-measured-{code}", text=text) for code, text in NOT_MEASURED.items()]


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
