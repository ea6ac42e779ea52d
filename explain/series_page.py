"""series.html: how a policy moved over its checkpoints, on one self-contained page."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from explain.page import page
from explain.series_figures import (
    MAX_PANELS,
    lines_over_checkpoints,
    weights_over_checkpoints,
)
from irl.records import Caveat, Estimate, SeriesReport

ALIGNED_TO_REFERENCE, REFERENCE_TO_ALIGNED = "KL(aligned ‖ reference)", "KL(reference ‖ aligned)"
MEASURES: Final = {
    "KL(aligned ‖ reference), nats per response": ("sequence_kl_nats", "", "%.3f"),
    "the same, per token": ("token_kl_nats", "", "%.4f"),
    "KL(reference ‖ aligned), nats per response": ("reverse_sequence_kl_nats", "", "%.3f"),
    "entropy, nats per token": ("token_entropy_nats", "aligned", "%.3f"),
    "words per response": ("length_words", "aligned", "%.2f"),
    "R² of its own terms": ("fit_r2", "", "%.2f"),
}
"Columns of the table: the measure, whose, and how it is written"
WEIGHTS: Final = {"term_weight_nats": "Terms"}
"Measures that are weights by name, each a section with its figure and table"
_CAVEATS: Final = {
    "weights-in-units-of-beta": "A weight is in nats: reward over the beta of that checkpoint's "
    "training, where a KL term held it to the reference. Sizes of different checkpoints compare "
    "only if beta was the same; signs and the order of terms within a checkpoint compare anyway.",
    "on-the-way": "A checkpoint before the end of training is at no optimum: it may fall short of "
    "what it is paid for, or overshoot it. A weight that changes says that the policy acts on the "
    "term otherwise than before, not that the term was paid otherwise.",
    "same-reference": "Every KL is to the same reference, over the same prompts and the same "
    "answers of the reference; it says nothing of how far one checkpoint is from the next.",
    "paired-checkpoints": "All checkpoints answer the same prompts with the same seed, so what "
    "differs between two of them is known better than each interval alone says: intervals that "
    "overlap do not show that nothing changed.",
    "chosen-terms": "The terms are those that the fit of some checkpoint kept, and are weighed on "
    "the answers that they were chosen on; where a term was found, its weight is a little too "
    "large.",
}


def render_series(report: SeriesReport) -> str:
    """The page as one string; it loads nothing from outside."""
    return page(
        "series.html.j2",
        series_figures(report),
        report=report,
        names=[one.name for one in report.checkpoints],
        columns={
            title: (report.of(measure, name), form)
            for title, (measure, name, form) in MEASURES.items()
        },
        own={
            "entropy": _reference(report, "token_entropy_nats"),
            "words": _reference(report, "length_words"),
        },
        weights={WEIGHTS[measure]: weights_of(report, measure) for measure in WEIGHTS},
        per_word=report.of("word_weight_nats"),
        max_panels=MAX_PANELS,
        settings=json.dumps(report.settings, indent=1, ensure_ascii=False),
    )


def series_caveats(counts: Sequence[Mapping[str, int]], temperature: float) -> list[Caveat]:
    """What the reader must know before comparing checkpoints."""
    found = dict(_CAVEATS)
    cut = [one["truncated_responses"] for one in counts]
    if any(cut):
        found["truncated-responses"] = (
            f"{min(cut)} to {max(cut)} of the {counts[0]['responses']} answers that are scored at "
            "each checkpoint reached the token limit and were scored up to it, which bounds the KL "
            "per response from below."
        )
    if temperature != 1.0:
        found["temperature"] = (
            f"Answers were drawn at temperature {temperature:g}, so KL and entropy are not those "
            "of the policies themselves."
        )
    if refused := counts[0]["refused_rows"]:
        found["refused-rows"] = (
            f"{refused} prompts could not be used; log.jsonl names each with its reason."
        )
    return [Caveat(code=code, text=text) for code, text in found.items()]


def weights_of(report: SeriesReport, measure: str) -> dict[str, list[Estimate | None]]:
    """The weights of one kind over the checkpoints, by name, in the order of the rows."""
    names = dict.fromkeys(row.name for row in report.rows if row.measure == measure)
    return {name: report.of(measure, name) for name in names}


def _reference(report: SeriesReport, measure: str) -> Estimate | None:
    """The reference's own figure; it is the same at every checkpoint."""
    return report.of(measure, "reference")[0]


def series_figures(report: SeriesReport) -> dict[str, go.Figure]:
    """Every figure by its name in the template: kl, entropy, length, then kinds of weights."""
    names = [one.name for one in report.checkpoints]
    kl = {
        ALIGNED_TO_REFERENCE: report.of("sequence_kl_nats"),
        REFERENCE_TO_ALIGNED: report.of("reverse_sequence_kl_nats"),
    }
    drawn = {"kl": lines_over_checkpoints(names, kl, "nats per response", from_zero=True)}
    for figure, measure, unit in (
        ("entropy", "token_entropy_nats", "nats per token"),
        ("length", "length_words", "words per response"),
    ):
        both = {source: report.of(measure, source) for source in ("aligned", "reference")}
        drawn[figure] = lines_over_checkpoints(names, both, unit)
    for measure, title in WEIGHTS.items():
        if lines := weights_of(report, measure):
            drawn[title] = weights_over_checkpoints(names, lines)
    return drawn
