"""Both policies of a pair at work: at once where they can be, else one after the other.

Small layers do not keep several threads busy: two models side by side, each on half of the threads,
are up to a third faster than one after the other on all of them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, TypeVar

import torch

from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy

Side = Literal["aligned", "reference"]
SIDES: Final[tuple[Side, ...]] = ("aligned", "reference")
Result = TypeVar("Result")


def of_both(pair: PolicyPair, work: Callable[[Side, Policy], Result]) -> dict[Side, Result]:
    """What `work` makes of each side.

    Two sides that share a model (an adapter, switched on and off) and models on an accelerator take
    turns. The threads of each side are a function of those at hand alone, so that the same machine
    computes the same numbers.
    """
    policies = {side: getattr(pair, side) for side in SIDES}
    threads = torch.get_num_threads()
    if threads < 2 or not _apart(pair):
        return {side: work(side, policy) for side, policy in policies.items()}
    try:
        with ThreadPoolExecutor(2, initializer=lambda: torch.set_num_threads(threads // 2)) as pool:
            working = {side: pool.submit(work, side, policies[side]) for side in SIDES}
            return {side: future.result() for side, future in working.items()}
    finally:
        torch.set_num_threads(threads)  # what a worker sets is also the default of later threads


def _apart(pair: PolicyPair) -> bool:
    sides = pair.aligned, pair.reference
    alone = sides[0].model is not sides[1].model
    return alone and all(policy.device.type == "cpu" for policy in sides)
