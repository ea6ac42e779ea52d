"""Seeds that are fitted apart are the seeds that are fitted together, where that is promised."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

import pytest
import torch

from irl.config import HeadSettings, SampleMethod
from irl.engine.engine import Here
from irl.jobs import seed_tasks
from irl.jobs.seed_tasks import fitted
from irl.policies.reward_model import Scorer, load_scorer
from irl.recovery import fit
from irl.recovery.examples import Examples
from irl.recovery.methods import METHODS
from irl.rewards.transformer import TokenIds, transformer
from tests import fakes

SEEDS = (3, 5)
UNLIKE = ("max-margin", "max-margin-ball")
"They know no transformers"
WITH_TRANSFORMERS = [name for name in METHODS if name not in UNLIKE]


class Elsewhere(Here):
    """Pretends that others do the work; counts what they are handed."""

    models_here = False

    def __init__(self) -> None:
        self.handed = 0

    def each(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        what: str,
        lost: Callable[[Any, str], Any] | None = None,
    ) -> Iterator[Any]:
        self.handed += len(items)
        return super().each(function, items, what, lost)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder = fakes.save(fakes.model(), tmp_path_factory.mktemp("base"))
    return load_scorer(str(folder), HeadSettings().loading)


@pytest.fixture(scope="module")
def examples(base: Scorer) -> Examples:
    """Eight prompts, two answers of either policy to each."""
    n, generator = 32, torch.Generator().manual_seed(0)
    said = [f"{'a fine' if at % 4 < 2 else 'no'} {at} dog" for at in range(n)]
    ids = TokenIds(base)(said, [f"what of {at // 4}?" for at in range(n)])
    aligned = torch.arange(n) % 4 < 2
    targets = torch.randn(n, generator=generator)
    return Examples(ids, torch.arange(n) // 4, aligned, targets, targets - 3)


def settings_of(method: str) -> HeadSettings:
    learning = {"seeds": SEEDS, "epochs": 2, "prompts_per_step": 4, "patience": 2}
    told = {"form": "transformer", "learning": learning}
    if method in get_args(SampleMethod):
        return HeadSettings.checked({**told, "method": method})
    return HeadSettings.checked(told).model_copy(update={"method": method})


@pytest.mark.slow
@pytest.mark.parametrize("method", WITH_TRANSFORMERS)
def test_large_members_are_the_same_to_the_bit(
    base: Scorer, examples: Examples, monkeypatch: pytest.MonkeyPatch, method: str
):
    monkeypatch.setattr(fit, "LARGE", 0)
    monkeypatch.setattr(seed_tasks, "LARGE", 0)
    form, elsewhere = transformer(base), Elsewhere()
    together = fitted(examples, form, settings_of(method), base)
    apart = fitted(examples, form, settings_of(method), base, elsewhere)
    assert elsewhere.handed == len(SEEDS)
    for ours, theirs in zip(apart.parts, together.parts, strict=True):
        for weight, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(weight, other)
    assert torch.equal(apart.validation.nan_to_num(-1), together.validation.nan_to_num(-1))
    assert torch.equal(apart.held_out, together.held_out)
    assert torch.equal(apart.penalties, together.penalties)


def test_small_members_stay_one_batch(base: Scorer, examples: Examples):
    elsewhere = Elsewhere()
    fitted(examples, transformer(base), settings_of("log-ratio"), base, elsewhere)
    assert elsewhere.handed == 0
