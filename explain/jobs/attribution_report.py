"""What `irl attribute` writes: a table of all values, and what stands behind each method."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from explain.attribution.record import Attribution
from explain.faithfulness import Faithfulness, rank_agreement
from explain.jobs.explained import Explained
from explain.segments import text_of
from explain.targets import Exchange
from irl.bootstrap import from_sums, ratio
from irl.records import AttributionMethod, Estimate, RankAgreement

NOT_COUNTED = ("ablation", "kernel-shap")
"Ablation need not add up; KernelSHAP is fitted under the constraint that it does"


@dataclass(frozen=True)
class Case:
    """One answer with everything that was found of it."""

    exchange: Exchange
    found: dict[str, Attribution]
    "by method, of the segments"
    gaps: dict[str, float]
    faithful: dict[str, Faithfulness | None]
    infidelity: dict[str, float | None]
    sensitivity: dict[str, float | None]
    control: dict[str, float | None]


def attributions_table(answers: Explained, cases: Sequence[Case]) -> pa.Table:
    """attributions.parquet: one row per answer and method, one list entry per segment."""
    rows = []
    for response_id, source, case in zip(answers.response_ids, answers.source, cases, strict=True):
        last = 1 if isinstance(case.exchange.prompt, str) else len(case.exchange.prompt)
        for name, one in case.found.items():
            rows.append(
                {
                    "response_id": response_id,
                    "source": source,
                    "method": name,
                    "segments": [text_of(case.exchange, segment) for segment in one.segments],
                    "in_response": [segment.part == last for segment in one.segments],
                    "values": one.values.tolist(),
                    "target": one.target,
                    "baseline": one.baseline,
                    "relative_gap": case.gaps[name],
                    "evaluations": one.evaluations,
                }
            )
    return pa.Table.from_pylist(rows, schema=ATTRIBUTIONS)


ATTRIBUTIONS = pa.schema(
    [(name, pa.string()) for name in ("response_id", "source", "method")]
    + [
        ("segments", pa.list_(pa.string())),
        ("in_response", pa.list_(pa.bool_())),
        ("values", pa.list_(pa.float64())),
    ]
    + [(name, pa.float64()) for name in ("target", "baseline", "relative_gap")]
    + [("evaluations", pa.int64())],
    metadata={"schema": "irl.attributions/1"},
)


@dataclass(frozen=True)
class Mean:
    """The mean over answers that have a value, with its interval over prompts."""

    prompt: NDArray[np.int64]
    seed: int

    def __call__(self, values: Sequence[float | None]) -> Estimate | None:
        """None where fewer than two prompts have a value."""
        there = np.array([value is not None for value in values])
        if not there.any():
            return None
        clusters = np.unique(self.prompt[there], return_inverse=True)[1]
        given = np.array([value for value in values if value is not None], dtype=np.float64)
        return from_sums(np.stack([given, np.ones_like(given)], 1), clusters, ratio, seed=self.seed)


def method_row(name: str, cases: Sequence[Case], tolerance: float, mean: Mean) -> AttributionMethod:
    """Everything that was measured of one method."""
    gaps = [case.gaps[name] for case in cases]
    faithful = [case.faithful[name] for case in cases]

    def share(measure: str, side: str = "ordered") -> Estimate | None:
        return mean([None if f is None else getattr(getattr(f, side), measure) for f in faithful])

    measures = ("comprehensiveness", "sufficiency", "deletion_area", "insertion_area")
    return AttributionMethod(
        method=name,
        answers=len(cases),
        unmet=None if name in NOT_COUNTED else sum(gap > tolerance for gap in gaps),
        largest_relative_gap=max(gaps),
        median_evaluations=float(np.median([case.found[name].evaluations for case in cases])),
        infidelity=mean([case.infidelity[name] for case in cases]),
        sensitivity=mean([case.sensitivity.get(name) for case in cases]),
        control_agreement=mean([case.control.get(name) for case in cases]),
        **{measure: share(measure) for measure in measures},
        **{f"{measure}_random": share(measure, "random") for measure in measures},
    )


def agreements(methods: Sequence[str], cases: Sequence[Case], mean: Mean) -> list[RankAgreement]:
    """Every two methods, on the same segments."""
    return [
        RankAgreement(
            a=a, b=b, spearman=mean([rank_agreement(c.found[a], c.found[b]) for c in cases])
        )
        for a, b in combinations(methods, 2)
    ]
