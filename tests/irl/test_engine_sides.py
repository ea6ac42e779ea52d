"""Two policies at once give what they give one after the other."""

import threading
import time
from pathlib import Path

import pytest
import torch

from irl.engine.sides import SIDES, Side, of_both
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.policy import Policy
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def of_two_models() -> PolicyPair:
    return PolicyPair(fakes.policy(fakes.model()), fakes.policy(fakes.model()))


@pytest.mark.usefixtures("threads")
def test_two_models_work_at_once_on_half_of_the_threads_each():
    meeting = threading.Barrier(2, timeout=20)

    def work(side: Side, policy: Policy) -> tuple[str, Policy, int]:
        meeting.wait()  # would break if one had to end before the other begins
        return side, policy, torch.get_num_threads()

    pair = of_two_models()
    done = of_both(pair, work)
    assert list(done) == list(SIDES)
    assert done["aligned"] == ("aligned", pair.aligned, 2)
    assert done["reference"] == ("reference", pair.reference, 2)
    assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("threads")
def test_an_adapter_and_its_base_take_turns(tmp_path: Path):
    base = fakes.save(fakes.model(), tmp_path / "base")
    pair = load_pair(str(fakes.save_adapter(base, tmp_path / "adapter")))
    here = threading.get_ident()
    assert of_both(pair, lambda *_: threading.get_ident()) == dict.fromkeys(SIDES, here)


@pytest.mark.usefixtures("threads")
def test_the_error_of_one_side_is_raised_and_the_threads_come_back():
    def work(side: Side, _: Policy) -> None:
        if side == "reference":
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        of_both(of_two_models(), work)
    assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("threads")
def test_what_stops_one_side_stops_the_other():
    begun, given_up = threading.Event(), threading.Event()

    def work(side: Side, _: Policy) -> None:
        if side == "reference":
            begun.wait(20)
            raise MemoryError("no room")
        begun.set()
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                time.sleep(0.01)
        except BaseException:
            given_up.set()
            raise

    with pytest.raises(MemoryError, match="no room"):
        of_both(of_two_models(), work)
    assert given_up.is_set()
