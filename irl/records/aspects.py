"""aspects.json: what `irl aspects` writes."""

from typing import Literal

from irl.records.audit import Aspect, AspectResidual
from irl.records.base import Caveat, Estimate, Record


class AspectsReport(Record):
    """aspects.json, the result of `irl aspects` on the answers of another run."""

    run_id: str
    of_run: str
    "the run whose answers were measured"
    readability: Literal["reward", "order", "direction", "unreadable"] | None
    "what the log-ratio of that run may be read as; null where no audit has judged it"
    aspects: list[Aspect]
    aspects_r2: Estimate | None
    aspect_residuals: list[AspectResidual]
    caveats: list[Caveat]
