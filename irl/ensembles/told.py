"""An ensemble's report in a few lines."""

from irl.records import EnsembleReport, Estimate


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
        cells = [_said(one) for one in (row.accuracy, row.ece, row.brier)]
        lines.append(f"{row.scorer:16} {cells[0]:24} {cells[1]:24} {cells[2]:24} {row.ties}")
    about = report.disagreement
    lines += [
        "",
        f"Disagreement of members {_said(about.mean_sd)}; it finds errors with AUC "
        f"{_said(about.auc_of_errors)}, "
        f"a small margin does with {_said(about.auc_of_small_margins)}.",
    ]
    for at in report.abstention:
        lines.append(
            f"At {at.confidence:.0%} confidence it answers {_said(at.answered)} of the pairs, of "
            f"these {_said(at.accuracy_answered)} right; sets cover {_said(at.covered)}."
        )
    counted = [f"{n} {name.replace('_', ' ')}" for name, n in report.input.items() if n]
    lines += [f"Input: {', '.join(counted)}."] if counted else []
    return "\n".join([*lines, *(caveat.text for caveat in report.caveats)])


def _said(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate:.3f}"
