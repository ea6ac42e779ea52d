"""As many threads as there are cores at hand.

torch counts the cores of the machine. In a container that may use two of sixty-four, its threads
wait for one another most of the time.
"""

import os
from pathlib import Path

import torch

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores_at_hand(quota: Path = _QUOTA) -> int:
    """The cores that this process may use: by its affinity, and by its control group's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        share, period = quota.read_text(encoding="ascii").split()
        return max(min(cores, round(int(share) / int(period))), 1)
    except (OSError, ValueError):  # no such file, or no quota: "max 100000"
        return cores


def keep_to_cores() -> int:
    """Lower torch's threads to the cores at hand; OMP_NUM_THREADS lowers them further."""
    threads = min(torch.get_num_threads(), cores_at_hand())
    if threads < torch.get_num_threads():
        torch.set_num_threads(threads)
    return threads
