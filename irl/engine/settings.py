"""Who does the work of a run. No part of its settings: the numbers do not depend on it."""

from typing import Literal

from pydantic import Field, field_validator

from irl.config import Settings
from irl.errors import InputError

MOST_TRIES = 3
"Of a piece of work whose worker is lost; likewise of starting a worker, for each that is wanted"


class EngineSettings(Settings):
    """An engine and what its workers take."""

    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    "HOST:PORT of a Ray cluster, or auto; None starts one on this machine"
    workers: int | None = Field(None, ge=1)
    "processes that hold the models; None: as many as the cluster has room for"
    cpus_per_worker: float | None = Field(None, gt=0)
    "None: one for each thread"
    gpus_per_worker: float = Field(0.0, ge=0)
    threads_per_worker: int | None = Field(None, ge=1)
    "None: as many as torch uses here, so that the numbers are those of this machine"

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError("more than one GPU is a whole number of them")
        return gpus

    def refuse_idle_flags(self) -> None:
        """Flags of Ray without Ray are a mistake.

        Raises:
            InputError: there is one.
        """
        given = self.model_fields_set - {"engine"}
        if self.engine == "local" and given:
            name = min(given).replace("_", "-")
            raise InputError(f"--{name} is of --engine ray; give that too, or leave it out.")
