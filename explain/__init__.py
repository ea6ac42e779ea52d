"""Explain what an aligned policy is paid for. `from explain import audit`."""

from typing import Any

_LAZY = {
    "aspects": "explain.jobs.aspects",
    "attribute": "explain.jobs.attribution",
    "audit": "explain.jobs.audit",
    "concept_scores": "explain.jobs.concepts",
    "credit_by_segment": "explain.jobs.segment_credit",
    "drift": "explain.jobs.series",
    "extrapolate": "explain.jobs.extrapolate",
    "one_token_answers": "explain.jobs.one_token",
    "probe": "explain.jobs.probe",
}
__all__ = [
    "aspects",
    "attribute",
    "audit",
    "concept_scores",
    "credit_by_segment",
    "drift",
    "extrapolate",
    "one_token_answers",
    "probe",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'explain' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
