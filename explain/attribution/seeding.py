"""The global generators of torch and NumPy, which captum draws from, set for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws inside depend on the seed alone; afterwards the generators are as they were."""
    before = np.random.get_state()  # noqa: NPY002 - captum takes no generator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - the same
        np.random.seed(seed % 2**32)  # noqa: TID251, NPY002 - the same
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002 - the same
