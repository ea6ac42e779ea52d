"""An attribution: values of segments that add up, or do not, to what they explain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from explain.segments import owners
from irl.policies.spans import Span

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Attribution:
    """What the segments of one exchange contribute, in the target's units."""

    method: str
    segments: list[Span]
    values: Array
    "of each segment"
    target: float
    "f(x): the exchange as it is"
    baseline: float
    "f(x0): with every segment removed or neutral; for several baselines their mean"
    evaluations: int
    "steps on the path, or changed exchanges that the target was asked for"

    @property
    def gap(self) -> float:
        """How far the values are from adding up: |sum of values - (f(x) - f(x0))|."""
        return abs(float(self.values.sum()) - (self.target - self.baseline))

    def relative_gap(self, spread: float) -> float:
        """The gap relative to max(|f(x) - f(x0)|, spread); 0 if nothing is to be explained.

        Args:
            spread: standard deviation of the target over the run. Without it an exchange whose
                target hardly differs from its baseline's would fail whatever the gap.
        """
        size = max(abs(self.target - self.baseline), spread)
        return self.gap / size if size > 0 else 0.0

    def grouped(self, into: Sequence[Span]) -> "Attribution":
        """Values of larger segments, each the sum of those that lie (mostly) in it.

        What lies in none of them is dropped, so that the gap shows it.
        """
        values = np.zeros(len(into))
        for value, owner in zip(self.values, owners(self.segments, into), strict=True):
            if owner is not None:
                values[owner] += value
        return replace(self, segments=list(into), values=values)
