"""Any run in a terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from explain.concepts.told import concepts_summary
from explain.probes.told import probe_summary
from explain.segment_words import segments_summary
from explain.summary import attribution_summary, series_summary, summary, tokens_summary
from irl.errors import RunError
from irl.evaluation.prompt_words import prompts_summary
from irl.evaluation.trust_words import trust_summary
from irl.records import (
    AttributionReport,
    AuditReport,
    ConceptsReport,
    OneTokenReport,
    ProbesReport,
    PromptsReport,
    Record,
    SegmentsReport,
    SeriesReport,
    TrustReport,
)
from irl.runs import read_record, read_run

Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class _Told(Generic[Kind]):
    file: str
    kind: type[Kind]
    tell: Callable[[Kind], str]

    def __call__(self, run: Path) -> str:
        return self.tell(read_record(run / self.file, self.kind))


_TOLD: Final[Mapping[str, _Told[Any]]] = {
    "attribute": _Told("attribution.json", AttributionReport, attribution_summary),
    "audit": _Told("report.json", AuditReport, summary),
    "concepts": _Told("concepts.json", ConceptsReport, concepts_summary),
    "drift": _Told("series.json", SeriesReport, series_summary),
    "probe": _Told("probes.json", ProbesReport, probe_summary),
    "prompts": _Told("prompts.json", PromptsReport, prompts_summary),
    "segments": _Told("segments.json", SegmentsReport, segments_summary),
    "tokens": _Told("one_token.json", OneTokenReport, tokens_summary),
    "trust": _Told("trust.json", TrustReport, trust_summary),
}
"By the command of the run"


def shown(path: Path) -> str:
    """A run in words: its summary where it has one, else its manifest.

    Raises:
        RunError: it is unfinished or broken.
    """
    run = read_run(path)
    if run.manifest is None:
        raise RunError(f"The run {path} is {run.state}; repeat its command to finish it.")
    told = _TOLD.get(run.manifest.command)
    return told(path) if told else run.manifest.model_dump_json(indent=1)
