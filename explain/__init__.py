"""Explain what an aligned policy is paid for. `from explain import audit`."""

from typing import Any

_LAZY = {"audit": "explain.jobs.audit", "probe": "explain.jobs.probe"}
__all__ = ["audit", "probe"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'explain' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
