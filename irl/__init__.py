"""Recover the reward that an aligned language model learned to follow.

Public names are loaded when they are first used (PEP 562): `import irl` reads no torch.
"""

from typing import Any

_LAZY = {
    "load_pair": "irl.policies.pair",
    "score": "irl.jobs.scoring",
    "recover": "irl.jobs.any_recovery",
    "fit_ensemble": "irl.jobs.ensemble",
    "align": "irl.jobs.align",
    "best_of_n_curves": "irl.jobs.best_of_n",
    "choose_prompts": "irl.jobs.prompts",
    "trust": "irl.jobs.trust",
}
__all__ = [
    "align",
    "best_of_n_curves",
    "choose_prompts",
    "fit_ensemble",
    "load_pair",
    "recover",
    "score",
    "trust",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'irl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
