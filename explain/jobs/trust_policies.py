"""The policies that a table of trust asks about: trained for an ensemble, by DPO, or on a line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from irl.config import Loading
from irl.jobs.align import CHECKPOINTS, align
from irl.jobs.align_settings import AlignSettings
from irl.organisms.answers_of_world import REFERENCE
from irl.organisms.language import chat_text
from irl.organisms.planted import Plant
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.policy import Policy
from irl.policies.weight_path import WeightPath


class Trained(BaseModel):
    """A policy that is trained, and what follows from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    align: dict[str, Any] = {}
    "settings of `irl align`"
    dpo: dict[str, Any] | None = None
    "settings of a training by DPO instead: beta, learning_rate, passes"
    checkpoints: tuple[int, ...] = ()
    "steps at which it is also looked at"
    path: tuple[float, ...] = ()
    "alphas at which the line through the reference and it is also looked at"


@dataclass(frozen=True)
class Stand:
    """What the policies of one seed share."""

    folder: Path
    "of trainings; finished ones are reused"
    seed: int
    plant: Plant
    ensemble: Path
    pairs: Sequence[dict[str, Any]]
    "that it was fitted to"
    prompts: Path
    "to train on"
    align: Mapping[str, Any]
    "settings of every `irl align`"


def walked(stand: Stand, trained: Trained, scratch: Path) -> Iterator[tuple[str, Policy]]:
    """A policy by name, its checkpoints and its line, one after the other in memory.

    Args:
        stand: what it is trained for.
        trained: which.
        scratch: an empty folder for the weights of the line.
    """
    folder = stand.folder / f"{trained.name.replace(' ', '-')}-{stand.seed}"
    policy = _by_dpo(stand, trained, folder) if trained.dpo else _by_align(stand, trained, folder)
    yield trained.name, _loaded(policy)
    for step in trained.checkpoints:
        there = folder / CHECKPOINTS / f"checkpoint-{step}"
        yield f"{trained.name}, step {step}", _loaded(there)
    if trained.path:
        line = WeightPath(str(policy), str(REFERENCE), scratch)
        for alpha in trained.path:
            yield f"{trained.name}, alpha {alpha:g}", line.at(alpha)


def _loaded(folder: Path) -> Policy:
    return load_full(locate(str(folder)), Loading())


def _by_align(stand: Stand, trained: Trained, folder: Path) -> Path:
    named = {
        "reward": str(stand.ensemble),
        "policy": str(REFERENCE),
        "prompts": str(stand.prompts),
        "seed": stand.seed,
        "keep_checkpoints": bool(trained.checkpoints),
    }
    settings = AlignSettings.checked({**stand.align, **trained.align, **named})
    return align(settings, folder).policy


def _by_dpo(stand: Stand, trained: Trained, folder: Path) -> Path:
    if (folder / "config.json").is_file():
        return folder
    # Loaded here alone: TRL takes seconds to import.
    from irl.organisms.alignment import Training, align_dpo

    told = {"beta": 0.3, "learning_rate": 3e-4, "passes": 4, **(trained.dpo or {})}
    rows = [
        {**row, "prompt": chat_text(row["prompt"][0]["content"])}
        for _ in range(int(told["passes"]))
        for row in stand.pairs
    ]
    policy = _loaded(REFERENCE)
    training = Training(
        beta=told["beta"],
        steps=0,
        seed=stand.seed,
        folder=stand.folder / "dpo",
        learning_rate=told["learning_rate"],
        batch=32,
        warmup_steps=5,
    )
    aligned = align_dpo(policy.model, policy.tokenizer, rows, training)
    aligned.save_pretrained(str(folder))
    policy.tokenizer.save_pretrained(folder)
    return folder
