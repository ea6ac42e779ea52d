"""An ensemble's report in a few lines."""

from irl.records import EnsembleReport
from irl.records.base import counted_in_words, said


def ensemble_summary(report: EnsembleReport) -> str:
    """What the command prints."""
    lines = [
        f"{report.members} members ({report.reward}; {report.loss}, {report.diversity}), fitted to "
        f"{report.training_pairs} pairs, judged on {report.held_out_pairs} pairs of "
        f"{report.held_out_prompts} other prompts.",
        "",
        f"{'scorer':16} {'accuracy':24} {'ECE':24} {'Brier':24} ties",
    ]
    for row in report.figures:
        cells = [said(one) for one in (row.accuracy, row.ece, row.brier)]
        lines.append(f"{row.scorer:16} {cells[0]:24} {cells[1]:24} {cells[2]:24} {row.ties}")
    about = report.disagreement
    lines += [
        "",
        f"Disagreement of members {said(about.mean_sd)}; it finds errors with AUC "
        f"{said(about.auc_of_errors)}, "
        f"a small margin does with {said(about.auc_of_small_margins)}.",
    ]
    for at in report.abstention:
        lines.append(
            f"At {at.confidence:.0%} confidence it answers {said(at.answered)} of the pairs, of "
            f"these {said(at.accuracy_answered)} right; sets cover {said(at.covered)}."
        )
    counted = counted_in_words(report.input)
    lines += [f"Input: {counted}."] if counted else []
    return "\n".join([*lines, *(caveat.text for caveat in report.caveats)])
