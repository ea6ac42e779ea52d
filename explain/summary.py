"""The audit in a terminal: a screenful, verdict first."""

from collections.abc import Iterator, Mapping

from explain.aspect_words import MEANING, aspect_warning, not_priced
from explain.context_words import told_contexts
from explain.report import found_in_words
from explain.series_page import weights_of
from explain.words import estimate, printable
from irl.records import (
    Accuracy,
    Aspect,
    AspectsReport,
    AttributionReport,
    AuditReport,
    Estimate,
    OneTokenAnswer,
    OneTokenReport,
    Recovery,
    RecoveryReport,
    SeriesReport,
    TrustReport,
    WordsVerdict,
)

TERMS_SHOWN = 10
ASPECTS_SHOWN = 3
TEXT_SHOWN = 160


def summary(report: AuditReport) -> str:
    """Plain text; characters that a terminal would act on are escaped."""
    return "\n".join(printable(line) for line in _lines(report))


def _lines(report: AuditReport) -> Iterator[str]:
    pair, verdict = report.pair, report.verdict
    yield f"Audit {report.run_id}"
    yield f"  aligned    {pair.aligned.source}"
    yield f"  reference  {pair.reference.source}"
    yield ""
    yield f"Objective: {found_in_words(verdict.objective_found)}"
    yield from (f"  {statement}" for statement in verdict.statements)
    yield from _terms(report)
    yield from _figures(report)
    yield from _gate(report)
    yield ""
    yield "Caveats: " + ", ".join(caveat.code for caveat in verdict.caveats)


def _terms(report: AuditReport) -> Iterator[str]:
    yield ""
    if not report.terms:
        yield "No term is paid for or charged for."
        return
    yield f"Terms paid for (+) or charged for (-), {len(report.terms)} in all, strongest first"
    yield "  nats per occurrence   95 % interval       n   token mean   term"
    for term in report.terms[:TERMS_SHOWN]:
        mean = "" if term.token_mean_nats is None else f"{term.token_mean_nats:+.2f}"
        yield (
            f"  {term.weight:+19.2f}   {term.low:+6.2f} to {term.high:+6.2f}  {term.occurrences:5d}"
            f"   {mean:>10}   {term.term}"
        )


def _figures(report: AuditReport) -> Iterator[str]:
    yield ""
    yield f"Fit out of fold    R2 {estimate(report.fit.r2)}"
    yield f"                   P(aligned above reference) {estimate(report.fit.membership_auc)}"
    for row in report.accuracy:
        yield from _agreement(row)
    yield f"Declared aspects   R2 {estimate(report.aspects_r2)}"
    for aspect in telling(report.aspects)[:ASPECTS_SHOWN]:
        yield f"                   {aspect.weight:+.2f} nats per {aspect.unit}: {aspect.name}"
    if report.drift is not None:
        drift = report.drift
        yield f"Drift              {estimate(drift.sequence_kl_nats)} nats per response"
        yield f"                   {estimate(drift.token_kl_nats, 4)} nats per token"
    if report.contexts is not None and report.contexts.contexts:
        yield f"Contexts           {told_contexts(report.contexts)}"
    parts = report.explanations
    if parts is not None and parts.probes is not None:
        yield f"Probes             {parts.probes.n_fired} fired"
    if parts is not None and parts.concepts is not None:
        fired = dict.fromkeys(row.name for row in parts.concepts.concepts if row.fired)
        yield f"Concepts           {len(fired)} fired{': ' if fired else ''}{', '.join(fired)}"
    if parts is not None and parts.trust is not None:
        yield from _trust(parts.trust)


def _trust(report: TrustReport) -> Iterator[str]:
    """The light, why it is not green, and how many answers need a person."""
    yield f"Trust              {report.lamp.colour}, on {report.measures.responses} fresh answers"
    if report.lamp.colour != "green":
        yield from (f"                   {reason}" for reason in report.lamp.reasons)
    parts = (f"{one.category} {estimate(one.share, 2)}" for one in report.triage)
    yield from (f"                   {part}" for part in parts)


def _agreement(row: Accuracy) -> Iterator[str]:
    yield f"{row.scorer:18} pairs {estimate(row.preference)} on {row.labels}"
    yield f"                   AUC {estimate(row.auc)}"


def _gate(report: AuditReport) -> Iterator[str]:
    if not report.gate:
        return
    failed = [row for row in report.gate if not row.passed]
    yield ""
    yield f"Gate: {len(report.gate) - len(failed)} of {len(report.gate)} limits kept"
    for row in failed:
        found = "not measured" if row.value is None else row.value
        yield f"  over: {row.path} ({row.on}) is {found}, limit {row.limit}"


def recovery_summary(report: RecoveryReport) -> str:
    """The result of `irl recover` as plain text."""
    lines = [
        f"Recovery {report.run_id}: {report.reward}",
        f"Fit out of fold    R2 {estimate(report.fit.r2)}",
        f"                   P(aligned above reference) {estimate(report.fit.membership_auc)}",
        *(line for row in report.accuracy for line in _agreement(row)),
        *_seeds(report.recovery),
        *_words(report.words),
        *(f"Caveat             {caveat.text}" for caveat in report.caveats),
    ]
    return "\n".join(printable(line) for line in lines)


def _seeds(found: Recovery | None) -> Iterator[str]:
    """What all fits say together."""
    if found is None:
        return
    yield (
        f"Fits               {found.seeds} of {found.method}, one chosen by consensus: "
        f"{found.status}"
    )
    if found.mean is not None and found.sd is not None:
        yield (
            f"                   pair accuracy {found.mean:.3f} on average (sd {found.sd:.3f}, "
            f"{found.min:.3f} to {found.max:.3f}), {found.sign_flip_share:.0%} rank in reverse"
        )


def _words(found: WordsVerdict | None) -> Iterator[str]:
    """Would the words be called an objective?"""
    if found is None:
        return
    yield f"Strongest words    {', '.join(found.terms) or 'none'}"
    judged = "an objective" if found.objective else "not enough for an objective"
    yield (
        f"                   explain {estimate(found.r2)} of the log-ratio's variance, "
        f"{estimate(found.sd_nats)} nats, on other prompts (p {found.p_value:.4f}): {judged}"
    )


def series_summary(report: SeriesReport) -> str:
    """The result of `irl drift` as plain text: a line per checkpoint, a line per term."""
    lines = [
        f"Series {report.run_id}",
        f"  reference  {report.reference.source}",
        "",
        "  KL, nats per response (95 %)      entropy   words    R2   checkpoint",
    ]
    columns = zip(
        report.checkpoints,
        report.of("sequence_kl_nats"),
        report.of("token_entropy_nats", "aligned"),
        report.of("length_words", "aligned"),
        report.of("fit_r2"),
        strict=True,
    )
    for checkpoint, kl, entropy, length, r2 in columns:
        moved = _with_interval(kl)
        lines.append(
            f"  {moved:31}   {_short(entropy, 3):>7}   {_short(length, 1):>5}  {_short(r2, 2):>4}"
            f"   {checkpoint.name}"
        )
    weights = weights_of(report, "term_weight_nats")
    if weights:
        lines += ["", f"Weight of {len(weights)} terms at each checkpoint, nats per occurrence"]
    for term, line in list(weights.items())[:TERMS_SHOWN]:
        lines.append("  " + "  ".join(f"{_short(one, 2):>6}" for one in line) + f"   {term}")
    lines += ["", "Caveats: " + ", ".join(caveat.code for caveat in report.caveats)]
    return "\n".join(printable(line) for line in lines)


def _short(value: Estimate | None, digits: int) -> str:
    return "–" if value is None else f"{value.value:.{digits}f}"


def _with_interval(value: Estimate | None) -> str:
    if value is None:
        return "–"
    return f"{value.value:8.3f}  ({value.low:.3f} to {value.high:.3f})"


def tokens_summary(report: OneTokenReport) -> str:
    """The result of `irl tokens` as plain text: best and worst, each with its fitted weight."""
    ranked = report.tokens - report.off_map
    lines = [
        f"One-token answers {report.run_id}: {report.tokens} tokens, {report.prompts} prompts",
        f"  They are {report.reference_share:.2%} of the reference's answers and "
        f"{report.aligned_share:.2%} of the aligned policy's.",
        f"  {ranked} are on the map: likelier than {report.floor:g} under one of the policies.",
    ]
    if (left := report.left_out) is not None:
        lines.append(
            f"  {left.tokens} more tokens of the vocabulary were not scored; they begin "
            f"{left.reference_share:.1%} of the reference's answers and {left.aligned_share:.1%} "
            "of the aligned policy's."
        )
    for title, answers in (("Best", report.best), ("Worst", report.worst)):
        if answers:
            lines += ["", f"{title}: log-ratio in nats (95 %), by the token and by ending there"]
            lines.append(
                "                            token     end   aligned  reference   in answers"
            )
            lines += [_one_token(answer) for answer in answers]
    lines += ["", "Caveats: " + ", ".join(caveat.code for caveat in report.caveats)]
    return "\n".join(printable(line) for line in lines)


def _one_token(answer: OneTokenAnswer) -> str:
    interval = ""
    if answer.low is not None and answer.high is not None:
        interval = f"({answer.low:+.2f} to {answer.high:+.2f})"
    weight = "–" if answer.term_weight is None else f"{answer.term_weight:+.2f}"
    return (
        f"  {answer.value:+6.2f} {interval:18} {answer.first_nats:+6.2f}  {answer.end_nats:+6.2f}"
        f"   {answer.aligned_probability:.1e}    {answer.reference_probability:.1e}   {weight:>10}"
        f"   {answer.token}"
    )


def attribution_summary(report: AttributionReport) -> str:
    """The result of `irl attribute` as plain text: each method beside chance."""
    lines = [
        f"Attribution {report.run_id}: {report.target} by {report.by}",
        "  Shares of f(x) - f(nothing), random orders in brackets: lost without the top segments,",
        "  lost with them alone; left while they go, there while they come (areas).",
        "",
    ]
    for one in report.methods:
        unmet = ", adds up by construction" if one.method == "kernel-shap" else ""
        if one.unmet is not None:
            unmet = f", {one.unmet} of {one.answers} do not add up"
        lines.append(
            f"{one.method}: {one.answers} answers, largest gap {one.largest_relative_gap:.2%}"
            f"{unmet}, {one.median_evaluations:.0f} evaluations"
        )
        for measure in ("comprehensiveness", "sufficiency", "deletion_area", "insertion_area"):
            chance = getattr(one, f"{measure}_random")
            beside = "" if chance is None else f"   [{chance.value:.2f}]"
            lines.append(f"  {measure:18} {estimate(getattr(one, measure), 2)}{beside}")
        for measure in ("infidelity", "sensitivity", "control_agreement"):
            if getattr(one, measure) is not None:
                lines.append(f"  {measure:18} {estimate(getattr(one, measure), 2)}")
    for row in report.agreements:
        lines.append(f"{row.a} and {row.b} rank segments alike by {estimate(row.spearman, 2)}")
    lines += ["", *(f"{caveat.code}: {caveat.text}" for caveat in report.caveats)]
    return "\n".join(printable(line) for line in lines)


def telling(aspects: list[Aspect]) -> list[Aspect]:
    """The aspects whose interval excludes 0, first those without which R2 loses most."""
    found = [one for one in aspects if one.weight and one.low is not None and one.high is not None]
    certain = [one for one in found if (one.low or 0) > 0 or (one.high or 0) < 0]
    return sorted(certain, key=lambda one: -(one.drop_one_r2.value if one.drop_one_r2 else 0.0))


def aspects_summary(report: AspectsReport, responses: Mapping[str, str]) -> str:
    """The result of `irl aspects` as plain text.

    Args:
        report: the result.
        responses: the texts of those that are explained worst, by id; untrusted.
    """
    return "\n".join(printable(line) for line in _aspect_lines(report, responses))


def _aspect_lines(report: AspectsReport, responses: Mapping[str, str]) -> Iterator[str]:
    yield f"Aspects {report.run_id}, of the answers of {report.of_run}"
    yield f"R2 out of fold, within prompts: {estimate(report.aspects_r2)}"
    yield MEANING
    if warning := aspect_warning(report.readability):
        yield warning
    yield ""
    yield f"{'aspect':16} {'weight':>8}   {'95 % interval':20} {'R2 lost without it':26} " + (
        "reference  aligned   unit"
    )
    yield from map(_aspect_line, report.aspects)
    if report.aspect_residuals:
        yield ""
        yield "Explained worst: read these (log-ratio within its prompt, what is left of it, text)"
    for row in report.aspect_residuals:
        text = responses.get(row.response_id, "")
        shown = text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
        yield (
            f"  {row.response_id}  {row.log_ratio_nats:+7.2f} {row.residual_nats:+7.2f}  {shown}"
        )


def _aspect_line(row: Aspect) -> str:
    rates = f"{row.reference_rate:9.3f} {row.aligned_rate:8.3f}   {row.unit}"
    if row.weight is None:
        return f"{row.name:16} {not_priced(row):59} {rates}"
    interval = f"{row.low:+8.3f} to {row.high:+8.3f}"
    note = f" ({not_priced(row)})" if row.tied_to else ""
    return f"{row.name:16} {row.weight:+8.3f}   {interval:20} {_lost(row):26} {rates}{note}"


def _lost(row: Aspect) -> str:
    if row.drop_one_r2 is None:
        return "not measured"
    return f"{row.drop_one_r2:.3f}"
