"""A choice of prompts in a few lines. Prompts, queries and answers are untrusted text."""

from collections.abc import Iterator

from irl.records import PromptsReport
from irl.records.base import counted_in_words, said

SHOWN = 60
"Characters of a text"
PAIRS = 5
"Of the red-team list"


def prompts_summary(report: PromptsReport) -> str:
    """Plain text; characters that a terminal would act on are escaped."""
    return "\n".join(_lines(report))


def _lines(report: PromptsReport) -> Iterator[str]:
    yield (
        f"{report.candidates} prompts for {report.queries} queries, by "
        f"{_short(report.reward, 200)}; {report.unit}, intervals over queries."
    )
    for name, found in (("Head", report.head), ("Reward of answers", report.answer_head)):
        if found is not None:
            yield (
                f"{name}, on queries that it was not fitted to: accuracy {said(found.accuracy)}, "
                f"AUC {said(found.auc)}, within queries {said(found.auc_within_queries)}, "
                f"calibration error {said(found.calibration_error)}."
            )
    yield ""
    yield f"{'chosen by':20} {'regret':26} {'of the worst':26} {'outcome':26} beyond best single"
    for row in report.methods:
        cells = [said(one) for one in (row.regret, row.worst_regret, row.outcome)]
        yield f"{row.method:20} {''.join(f'{cell:27}' for cell in cells)}{said(row.beyond_single)}"
    advised = "the head's, per query" if report.advice == "per query" else "one for all"
    yield f"Advised: {advised}. Best single prompt: {_short(report.single)}"
    yield ""
    yield f"{'best for':>8} {'worst':>5}  {'mean outcome':26} prompt"
    for prompt in report.prompts:
        mean = said(prompt.outcome)
        yield f"{prompt.chosen:8} {prompt.avoided:5}  {mean:26} {_short(prompt.prompt)}"
    yield ""
    yield "Worst pairs: value, what had no part in it, prompt | query"
    for pair in report.red_team[:PAIRS]:
        again = "    -" if pair.again is None else f"{pair.again:5.2f}"
        yield f"{pair.value:5.2f} {again}  {_short(pair.prompt, 40)} | {_short(pair.query, 40)}"
    counted = counted_in_words(report.input)
    if counted:
        yield f"Input: {counted}."
    yield from (caveat.text for caveat in report.caveats)


def _short(text: str, most: int = SHOWN) -> str:
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if len(safe) <= most else safe[: most - 1] + "…"
