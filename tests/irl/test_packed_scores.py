"""Packed rows give the scores of one sequence at a time, or are not used."""

import logging
import random
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from irl.config import Sampling
from irl.engine.scoring import score_policy
from irl.policies import exact, packed
from irl.policies.exact import in_float32
from irl.policies.pair import load_pair
from irl.policies.policy import Policy
from irl.policies.threads import cores_at_hand
from irl.tensors import TokenSequence
from tests import fakes

TOLERANCE_NATS = 1e-3
"per response, in float32"


def exchanges(seed: int = 0) -> list[TokenSequence]:
    """Prompts with one, two and five responses; the longest text is longer than any window."""
    drawn = random.Random(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(drawn.randrange(3, 320) for _ in range(drawn.randint(low, high)))

    asked = [(ids(1, 20), n) for n in (1, 2, 5, 1, 1)]
    return [TokenSequence(prompt, ids(0, 25)) for prompt, n in asked for _ in range(n)]


@torch.inference_mode()
def slow_sums(model: PreTrainedModel, sequences: list[TokenSequence]) -> list[float]:
    """Nats of each response: one sequence at a time, its whole log-softmax in float64."""
    sums = []
    for sequence in sequences:
        ids = torch.tensor([[*sequence.prompt_ids, *sequence.response_ids]])
        nats = model(ids).logits[0].double().log_softmax(-1)
        n_prompt, said = len(sequence.prompt_ids), ids[0, len(sequence.prompt_ids) :]
        rows = nats[n_prompt - 1 : n_prompt - 1 + len(said)]
        sums.append(rows.gather(1, said[:, None]).sum().item())
    return sums


def scored(policy: Policy, sequences: list[TokenSequence], budget: int = 16384) -> list[float]:
    rows = score_policy(policy, sequences, Sampling(token_budget=budget))
    assert [len(row) for row in rows] == [len(one.response_ids) for one in sequences]
    return [row.double().sum().item() for row in rows]


@pytest.mark.parametrize("architecture", [*fakes.PACKED, *fakes.SCALED_HEADS, *fakes.UNPACKED])
def test_scores_are_those_of_one_sequence_at_a_time(architecture: str):
    policy, sequences = fakes.policy(fakes.model(architecture)), exchanges()
    plain = slow_sums(policy.model, sequences)
    for budget in (64, 16384):
        assert scored(policy, sequences, budget) == pytest.approx(plain, abs=TOLERANCE_NATS)
    assert (policy.path.plain_because is None) == (architecture not in fakes.UNPACKED)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_both_sides_of_an_adapter_are_packed(tmp_path: Path):
    base = fakes.save(fakes.model(), tmp_path / "base")
    pair = load_pair(str(fakes.save_adapter(base, tmp_path / "adapter")))
    for policy in (pair.aligned, pair.reference):
        with policy.active():
            plain = slow_sums(policy.model, exchanges())
        assert scored(policy, exchanges()) == pytest.approx(plain, abs=TOLERANCE_NATS)
        assert policy.path.plain_because is None


@pytest.mark.parametrize("architecture", fakes.UNPACKED)
def test_the_plain_path_is_named_once_with_its_reason(
    architecture: str, caplog: pytest.LogCaptureFixture
):
    policy = fakes.policy(fakes.model(architecture))
    with caplog.at_level(logging.WARNING, "irl"):
        for _ in range(2):
            scored(policy, exchanges())
    (said,) = [record.getMessage() for record in caplog.records]
    assert str(policy.path.plain_because) in said
    assert policy.path.facts()["path"] == "plain"


def test_attention_that_lets_strangers_be_seen_is_found_out(monkeypatch: pytest.MonkeyPatch):
    honest = packed._Row.mask
    monkeypatch.setattr(packed._Row, "mask", lambda row, *at: None)
    policy = fakes.policy(fakes.model())
    assert scored(policy, exchanges()) == pytest.approx(
        slow_sums(policy.model, exchanges()), abs=TOLERANCE_NATS
    )
    assert "differ by" in str(policy.path.plain_because)
    monkeypatch.setattr(packed._Row, "mask", honest)
    other = fakes.policy(fakes.model())
    scored(other, exchanges())
    assert other.path.gap_nats <= TOLERANCE_NATS


def test_a_longer_sequence_is_tried_before_it_is_believed(monkeypatch: pytest.MonkeyPatch):
    tried: list[int] = []
    monkeypatch.setattr(exact, "_difference", lambda policy, longest: tried.append(len(longest)))
    policy = fakes.policy(fakes.model())
    for length in (5, 9, 9, 7, 12):
        scored(policy, [TokenSequence((1,), (5,) * (length - 1))])
    assert tried == [5, 9, 12]


def test_a_length_that_failed_is_scored_plainly_and_shorter_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(
        exact, "_difference", lambda policy, longest: "too long" if len(longest) > 8 else None
    )
    policy = fakes.policy(fakes.model())
    plainly = [
        not exact.packs_are_exact(policy, [TokenSequence((1,), (5,) * (length - 1))])
        for length in (5, 9, 7, 30, 8)
    ]
    assert plainly == [False, True, False, True, False]
    assert policy.path.failed_tokens == 9


class Full:
    """Memory that holds so many tokens and no more."""

    def __init__(self, policy: Policy, tokens: int) -> None:
        self.tokens, self.rows = tokens, []
        policy.body.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module: object, positional: object, named: dict[str, torch.Tensor]) -> None:
        self.rows.append(named["input_ids"].numel())
        if self.rows[-1] > self.tokens:
            raise torch.OutOfMemoryError


def test_rows_are_halved_where_memory_runs_out():
    policy, sequences = fakes.policy(fakes.model()), exchanges()
    plain = scored(policy, sequences)
    memory = Full(policy, 80)
    assert scored(policy, sequences, 300) == pytest.approx(plain, abs=1e-5)
    assert memory.rows[0] > 80
    assert policy.path.row_tokens == 75
    assert max(memory.rows[2:]) <= 80


def test_memory_that_holds_nothing_is_an_error():
    policy = fakes.policy(fakes.model())
    scored(policy, exchanges())
    Full(policy, 3)
    with pytest.raises(torch.OutOfMemoryError):
        scored(policy, exchanges())


def test_half_precision_is_tried_in_float32_and_its_error_measured():
    policy, sequences = fakes.policy(fakes.model().bfloat16()), exchanges()
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    halved = torch.tensor(scored(policy, sequences))
    assert policy.path.plain_because is None
    assert policy.path.gap_nats < TOLERANCE_NATS
    assert all(torch.equal(before[name], kept) for name, kept in policy.model.state_dict().items())
    with in_float32(policy.model):
        whole = torch.tensor(slow_sums(policy.model, sequences))
    error = (halved - whole).abs().mean().item()
    assert 0 < error < 0.5
    assert policy.path.precision_nats == pytest.approx(error, rel=0.8)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None)],
)
def test_threads_keep_to_the_quota_of_the_container(tmp_path: Path, quota: str, cores: int | None):
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")
    most = cores_at_hand(tmp_path / "none")
    assert cores_at_hand(file) == min(cores or most, most)


def test_nothing_to_score_is_nothing():
    assert score_policy(fakes.policy(fakes.model()), [], Sampling()) == []
    empty = score_policy(fakes.policy(fakes.model()), [TokenSequence((1,), ())], Sampling())
    assert [len(row) for row in empty] == [0]
