"""The trainings among the examples: an ensemble, a policy aligned with it, a path through a pair.

The policy is trained on one member of ten at a low price of KL, so that there is something to warn
of. Its weights are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explain.jobs.extrapolate import extrapolate
from irl.jobs.align import align
from irl.jobs.align_settings import AlignSettings
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.ensemble_settings import EnsembleSettings

ENSEMBLE, ALIGNED, PATH = "ensemble", "aligned-with-a-weak-member", "beyond-detox"


@dataclass(frozen=True)
class Trainings:
    """What they start from, and their settings."""

    pair: Path
    "folder with reference/, aligned/, prompts.jsonl and heldout_preferences.jsonl"
    audit: str
    "name of the example whose reward is followed beyond the pair"
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    align: Mapping[str, Any] = field(default_factory=dict)
    path: Mapping[str, Any] = field(default_factory=dict)


def make_trainings(root: Path, trainings: Trainings) -> list[str]:
    """Make them afresh under a folder of examples.

    Returns:
        Their names.

    Raises:
        IrlError: the pair, or the example that is followed, cannot be used.
    """
    pair = trainings.pair
    reference, prompts = str(pair / "reference"), str(pair / "prompts.jsonl")
    labels = str(pair / "heldout_preferences.jsonl")
    members = EnsembleSettings.checked(
        {"preferences": labels, "features": "embeddings", "base": reference, **trainings.ensemble}
    )
    fit_ensemble(members, root / ENSEMBLE, fresh=True)
    training = AlignSettings.checked(
        {"reward": str(root / ENSEMBLE), "policy": reference, "prompts": prompts}
        | dict(trainings.align)
    )
    align(training, root / ALIGNED, fresh=True).run.finish_without(("policy",))
    extrapolate(
        out=root / PATH,
        fresh=True,
        aligned=str(pair / "aligned"),
        reference=reference,
        prompts=prompts,
        reward=str(root / trainings.audit),
        **trainings.path,
    )
    return [ENSEMBLE, ALIGNED, PATH]
