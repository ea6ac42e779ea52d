"""The job `irl organisms build`."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from irl.data.bundled import BUNDLED_PAIR
from irl.engine.engine import HERE, Engine
from irl.engine.shared import refuse_unseen, seen_by_workers
from irl.errors import InputError, PolicyError
from irl.organisms import real_detox
from irl.organisms.bed import Bed
from irl.organisms.grammar import World
from irl.organisms.planted import plants
from irl.organisms.planting import grow, shared_reference
from irl.policies.quiet import quiet_libraries
from irl.runs import RUNS

_LOG = logging.getLogger("irl.organisms")
MODELS = Path("artifacts/models")
"Of the real pair, and of seed 0 of the language world; some of it comes with the repository"


def organisms() -> dict[str, str]:
    """Every organism and what its aligned policy was taught."""
    world = plants(World.draw(0))
    return {
        **{name: scale.about for name, scale in real_detox.SCALES.items()},
        **{name: f"{plant.objective}: {plant.definition}" for name, plant in world.items()},
    }


def bed_folder(seed: int) -> Path:
    """Where the organisms of a seed of the language world lie unless told otherwise."""
    return MODELS if seed == 0 else RUNS / "organisms" / f"seed-{seed}"


def build(name: str, text: Path | None, seed: int, out: Path | None) -> Path:
    """Build an organism; stages whose files exist are kept.

    Args:
        name: which.
        text: folder of real text, for the real pair only.
        seed: of everything that is drawn.
        out: the folder of the real pair, or the bed of the language world: its organisms share
            references, so each becomes a folder inside.

    Raises:
        InputError: there is no such organism, or its text is not given.
        PolicyError: its aligned policy is too far from the optimum.
    """
    known = organisms()
    if name not in known:
        raise InputError(f"There is no organism {name}; known: {', '.join(known)}.")
    quiet_libraries()
    _LOG.setLevel(logging.INFO)
    if name not in real_detox.SCALES:
        return grow(Bed(out or bed_folder(seed), seed, _LOG.info), name)
    if text is None or not text.is_dir():
        raise InputError(
            f"{name} learns from real text; give the folder of its Parquet files with --text DIR."
        )
    folder = out or MODELS / name
    folder.mkdir(parents=True, exist_ok=True)
    for ours in ("prompts.jsonl", "heldout_preferences.jsonl"):
        if not (folder / ours).is_file():
            shutil.copy(BUNDLED_PAIR / ours, folder)
    real_detox.build(real_detox.Build(text, folder, seed, _LOG.info, name))
    return folder


def build_all(seed: int, out: Path | None, engine: Engine = HERE) -> list[Path]:
    """Build every organism of the language world; those that are there are kept.

    The references that organisms share are trained first, then each organism is a task.

    Raises:
        InputError: a worker does not see the folder.
        PolicyError: some could not be built; the others are there.
    """
    quiet_libraries()
    bed = (out or bed_folder(seed)).absolute()
    world = plants(World.draw(seed))
    shared = dict.fromkeys(plant.architecture for plant in world.values())
    with seen_by_workers(bed) as marker:
        tasks = [Task(name, seed, bed, marker) for name in shared]
        list(engine.each(Task.reference, tasks, "reference"))
        tasks = [Task(name, seed, bed, marker) for name in world]
        built = list(engine.each(Task.organism, tasks, "organism"))
    if failed := [said for said in built if said]:
        raise PolicyError(" ".join(failed))
    return [(out or bed_folder(seed)) / name for name in world]


@dataclass(frozen=True)
class Task:
    """One organism, or one reference by its architecture, for whoever does the work."""

    name: str
    seed: int
    bed: Path
    marker: Path

    def reference(self) -> None:
        """Train the reference of an architecture, unless it is there."""
        refuse_unseen(self.marker)
        _LOG.setLevel(logging.INFO)
        bed = Bed(self.bed, self.seed, _LOG.info)
        shared_reference(bed, self.name)
        shutil.rmtree(bed.scratch, ignore_errors=True)

    def organism(self) -> str:
        """Build an organism; why it cannot stand for its objective, or nothing."""
        refuse_unseen(self.marker)
        try:
            build(self.name, None, self.seed, self.bed)
        except PolicyError as error:
            return str(error)
        return ""
