"""Both policies of a pair at work: at once where they can be, else one after the other.

Small layers do not keep several threads busy: two models side by side, each on half of the threads,
are up to a third faster than one after the other on all of them.
"""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final, Literal, TypeVar

import torch

from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy

Side = Literal["aligned", "reference"]
SIDES: Final[tuple[Side, ...]] = ("aligned", "reference")
Result = TypeVar("Result")
Work = Callable[[Side, Policy], Result]


def of_both(pair: PolicyPair, work: Work[Result]) -> dict[Side, Result]:
    """What `work` makes of each side.

    Two sides that share a model (an adapter, switched on and off) and models on an accelerator take
    turns; a side that is served waits for its server beside the other. The threads of each side are
    a function of those at hand alone, so that the same machine computes the same numbers.
    If one side fails, or Ctrl-C is pressed, the other stops too.
    """
    threads = torch.get_num_threads()
    if pair.served:
        return _at_once(pair, work, threads)
    if threads < 2 or not _apart(pair):
        return {side: work(side, getattr(pair, side)) for side in SIDES}
    try:
        return _at_once(pair, work, threads // 2)
    finally:
        torch.set_num_threads(threads)  # what a worker sets is also the default of later threads


def _apart(pair: PolicyPair) -> bool:
    sides = pair.aligned, pair.reference
    # Of an outline, others do the work: as the sides would be drawn here, were they on the CPU.
    near = all(policy.device.type in ("cpu", "meta") for policy in sides)
    return near and not pair.shared


def _at_once(pair: PolicyPair, work: Work[Result], threads: int) -> dict[Side, Result]:
    at_work: set[int] = set()

    def run(side: Side) -> Result:
        at_work.add(threading.get_ident())
        try:
            torch.set_num_threads(threads)
            return work(side, getattr(pair, side))
        finally:
            at_work.discard(threading.get_ident())

    with ThreadPoolExecutor(len(SIDES)) as pool:
        try:
            running = {side: pool.submit(run, side) for side in SIDES}
            for ended in wait(running.values(), return_when=FIRST_EXCEPTION).done:
                ended.result()
            return {side: future.result() for side, future in running.items()}
        except BaseException:
            for thread in tuple(at_work):
                _stop(thread)
            raise


class _Stopped(BaseException):
    """Raised in the thread of a side whose result nobody waits for any more."""


def _stop(thread: int) -> None:
    """Without it, leaving the pool would wait until the other side has done all of its work."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_Stopped))
