"""The answer of `irl trust` in a few lines."""

from irl.records.base import counted_in_words, said
from irl.records.trust import TrustReport


def trust_summary(report: TrustReport) -> str:
    """What the command prints: the light and its reasons, the measures, the triage."""
    of = report.measures
    lines = [
        f"{report.lamp.colour.upper()}: may {report.reward} ({report.members} members, fitted to "
        f"{report.fitted_answers} answers) be believed on {report.source}?",
        *(f"  {reason}" for reason in report.lamp.reasons),
        "",
        f"{of.responses} responses to {of.prompts} prompts, against {report.data_policy}:",
        f"  KL {said(of.kl_nats)} nats; effective share {said(of.effective_share)}",
        f"  epistemic {said(of.epistemic)}, aleatoric {said(of.aleatoric)}, spread of members "
        f"{said(of.spread)}",
        f"  distance {said(of.distance)} (held-out answers: 1), beyond {said(of.beyond)}",
        f"  reward gained {said(of.reward_gain)} standard deviations, words {said(of.length_gain)}",
        "",
    ]
    lines += _groups(report)
    lines += [
        f"{one.category:20} {said(one.share)} of the responses ({one.responses})"
        for one in report.triage
    ]
    lines += ["", "Detectors on what was planted for them, AUC:"]
    for one in report.detectors:
        told = said(one.auc) if one.auc else f"none: {one.reason}"
        lines.append(f"  {one.name:12} {told} ({one.planted})")
    counted = counted_in_words(report.input)
    lines += [f"Left out: {counted}."] if counted else []
    return "\n".join([*lines, *(caveat.text for caveat in report.caveats)])


def _groups(report: TrustReport) -> list[str]:
    if not report.groups:
        return []
    lines = [f"{'prompts':20} {'light':6} {'KL':26} {'beyond':26} spread"]
    for group in report.groups:
        of = group.measures
        cells = f"{said(of.kl_nats):26} {said(of.beyond):26} {said(of.spread)}"
        lines.append(f"{group.group[:20]:20} {group.colour:6} {cells}")
    return [*lines, ""]
