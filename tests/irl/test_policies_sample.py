"""Samples come from the policy itself: its distribution, its end tokens, nothing else."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from scipy.stats import chisquare
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from irl.policies.pair import load_pair
from irl.policies.policy import Policy
from irl.policies.sample import Ids, advance, draw, sample
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

EOS = 2
N_DRAWS = 4000
N_PIECES = 6
"The tiny vocabulary whose distribution is compared: ids 0 to 5"
GREEDY = 1e-5
"A temperature at which the largest logit always wins"
PROMPTS: list[Ids] = [
    (1, 17, 33, 5, 250, 90, 12, 44, 45, 46, 47, 48),
    (1,),
    (1, 99),
    (1, 7, 8, 9, 10),
    (1, 300, 20, 30, 40, 50, 60, 70),
    (200, 201, 202),
    (1, 77, 78),
    (1, 5),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.inference_mode()
def slow_argmax(model: PreTrainedModel, prompt: Ids, ends: frozenset[int], room: int) -> Ids:
    """The likeliest token, one by one, on one unpadded sequence without a cache."""
    response: list[int] = []
    while len(response) < room and not ends & set(response[-1:]):
        logits = model(torch.tensor([[*prompt, *response]])).logits[0, -1]
        response.append(int(logits.argmax()))
    return tuple(response)


@torch.inference_mode()
def next_probabilities(model: PreTrainedModel, ids: Ids, temperature: float) -> list[float]:
    logits = model(torch.tensor([ids])).logits[0, -1].double()
    return torch.softmax(logits / temperature, dim=-1).tolist()


def outcomes(
    model: PreTrainedModel, prompt: Ids, room: int, temperature: float = 1.0
) -> Iterator[tuple[Ids, float]]:
    """Every response of at most `room` tokens, closed by EOS or full, with its probability."""
    for token, probability in enumerate(next_probabilities(model, prompt, temperature)):
        if token == EOS or room == 1:
            yield (token,), probability
        else:
            for rest, share in outcomes(model, (*prompt, token), room - 1, temperature):
                yield (token, *rest), probability * share


def p_value(drawn: list[Ids], exact: dict[Ids, float]) -> float:
    """Chi-square of the counts against exact probabilities, rare outcomes taken together."""
    assert sum(exact.values()) == pytest.approx(1.0)
    counts = Counter(drawn)
    assert counts.keys() <= exact.keys()
    frequent = [key for key, share in exact.items() if share * len(drawn) >= 5]
    observed = [counts[key] for key in frequent]
    expected = [exact[key] * len(drawn) for key in frequent]
    rest = sum(exact[key] for key in exact.keys() - set(frequent)) * len(drawn)
    if rest >= 5:
        observed.append(len(drawn) - sum(observed))
        expected.append(rest)
    else:
        expected = [value * sum(observed) / sum(expected) for value in expected]
    return float(chisquare(observed, expected, sum_check=False).pvalue)


# --- the distribution -------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_first_and_second_tokens_follow_the_policy(temperature: float):
    model = fakes.model("llama", N_PIECES)
    drawn = sample(
        fakes.policy(model),
        [(1, 3, 4)] * N_DRAWS,
        generator(),
        max_new_tokens=2,
        temperature=temperature,
    )
    assert p_value(drawn, dict(outcomes(model, (1, 3, 4), 2, temperature))) > 0.001
    wrong = 1.5 - temperature
    assert p_value(drawn, dict(outcomes(model, (1, 3, 4), 2, wrong))) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["gpt2", "mistral"])
def test_each_row_of_a_padded_and_shrinking_batch_follows_the_policy(architecture: str):
    model = fakes.model(architecture, N_PIECES)
    prompts = [(1, 3, 4, 5, 4, 3), (4,), (1, 5, 5)]
    drawn = sample(fakes.policy(model), prompts * 2000, generator(1), max_new_tokens=3)
    for row, prompt in enumerate(prompts):
        assert p_value(drawn[row::3], dict(outcomes(model, prompt, 3))) > 0.001
    assert p_value(drawn[0::3], dict(outcomes(model, prompts[1], 3))) < 1e-6


def test_the_same_generator_state_gives_the_same_responses():
    policy = fakes.policy(fakes.model())
    first, again, other = (
        sample(policy, PROMPTS, generator(seed), max_new_tokens=6) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_copies_of_a_prompt_get_independent_responses():
    drawn = sample(fakes.policy(fakes.model()), [(1, 7)] * 50, generator(), max_new_tokens=4)
    assert len(set(drawn)) > 45


# --- padding, shrinking and caches, at the temperature of argmax -------------------------------


def restless(architecture: str) -> PreTrainedModel:
    """A model that does not repeat its last token for ever, as tied embeddings make it do."""
    model = fakes.model(architecture)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed" not in name and parameter.ndim > 1:
                parameter.mul_(4.0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [*fakes.ARCHITECTURES, *fakes.SCALED_HEADS])
def test_left_padding_and_shrinking_change_no_row(architecture: str):
    model = restless(architecture)
    endless = [slow_argmax(model, prompt, frozenset(), 8) for prompt in PROMPTS]
    ends = frozenset(row[at] for at, row in enumerate(endless[:6]))
    alone = [slow_argmax(model, prompt, ends, 8) for prompt in PROMPTS]
    assert len({len(row) for row in alone}) > 2, "rows must end at different times"

    policy = fakes.policy(model)
    for token_budget in (None, 3 * 20, 1):
        together = sample(
            policy,
            PROMPTS,
            generator(),
            max_new_tokens=8,
            temperature=GREEDY,
            eos_ids=ends,
            token_budget=token_budget,
        )
        assert together == alone, token_budget


@pytest.mark.slow
def test_responses_that_enter_later_follow_the_policy():
    model = fakes.model("llama", N_PIECES)
    prompts: list[Ids] = [(1, 3, 4, 5), (1, 3), (4,)]
    asked = [prompt for prompt in prompts for _ in range(1500)]
    drawn = sample(fakes.policy(model), asked, generator(), max_new_tokens=3, token_budget=7 * 128)
    for at, prompt in enumerate(prompts):
        share = drawn[at * 1500 : (at + 1) * 1500]
        assert p_value(share, dict(outcomes(model, prompt, 3))) > 0.001
    assert p_value(drawn[:1500], dict(outcomes(model, prompts[1], 3))) < 1e-6


def test_rows_fill_the_budget_and_never_exceed_it(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, int]] = []

    def watched(policy: Policy, ids: Tensor, attention: Tensor, cache: DynamicCache) -> Tensor:
        seen.append((len(ids), attention.shape[1]))
        return advance(policy, ids, attention, cache)

    monkeypatch.setattr("irl.policies.sample.advance", watched)
    prompts: list[Ids] = [(1, 3, 4, 5)] * 200
    policy = fakes.policy(fakes.model("llama", N_PIECES))
    drawn = sample(policy, prompts, generator(), max_new_tokens=20, token_budget=24 * 32)
    steps = [(rows, width) for rows, width in seen if width > 4]
    assert max(rows for rows, _ in steps) <= 32
    assert max(width for _, width in steps) <= 24
    at_work = sum(rows for rows, _ in steps) / len(steps)
    batch_by_batch = sum(max(map(len, drawn[at : at + 32])) for at in range(0, 200, 32))
    assert len(steps) < batch_by_batch * 0.75
    assert at_work > 16


def test_a_draw_inverts_the_distribution_and_never_takes_what_cannot_be():
    for n_pieces in (1, 6, 64, 65, 1000):
        logits = torch.randn(500, n_pieces, generator=generator()) * 3
        logits[:, 1::3] = -torch.inf
        drawn = draw(logits, 0.7, generator(1))
        assert logits.gather(1, drawn[:, None]).isfinite().all()
        running = torch.softmax(logits.double() / 0.7, dim=-1).cumsum(-1)
        uniform = torch.rand(500, 1, generator=generator(1), dtype=torch.float64)
        until = torch.cat([torch.zeros(500, 1), running], dim=1)
        assert (until.gather(1, drawn[:, None]) <= uniform + 1e-6).all()
        assert (until.gather(1, drawn[:, None] + 1) >= uniform - 1e-6).all()


def test_both_sides_of_an_adapter_sample_from_their_own_weights(tmp_path: Path):
    base = fakes.save(fakes.model(), tmp_path / "base")
    adapter = fakes.save_adapter(base, tmp_path / "adapter")
    pair = load_pair(str(adapter))
    models = (
        AutoPeftModelForCausalLM.from_pretrained(adapter).eval(),
        AutoModelForCausalLM.from_pretrained(base).eval(),
    )
    drawn = [
        sample(side, PROMPTS, generator(), max_new_tokens=5, temperature=GREEDY)
        for side in (pair.aligned, pair.reference)
    ]
    assert drawn[0] != drawn[1]
    for model, responses in zip(models, drawn, strict=True):
        assert responses == [slow_argmax(model, prompt, frozenset({EOS}), 5) for prompt in PROMPTS]


# --- where responses end ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended() -> list[Ids]:
    """Responses of a model of six tokens, so that about one in six tokens ends one."""
    policy = fakes.policy(fakes.model("llama", N_PIECES))
    return sample(policy, [(1, 3), (4,)] * 300, generator(), max_new_tokens=6)


def test_a_drawn_end_token_is_kept_and_nothing_follows_it(ended: list[Ids]):
    assert all(EOS not in response[:-1] for response in ended)
    assert {len(response) for response in ended if response[-1] == EOS} == {1, 2, 3, 4, 5, 6}


def test_a_response_without_an_end_token_is_as_long_as_allowed(ended: list[Ids]):
    open_lengths = {len(response) for response in ended if response[-1] != EOS}
    assert open_lengths == {6}


def test_without_end_tokens_every_response_is_as_long_as_allowed():
    policy = fakes.policy(fakes.model("llama", N_PIECES))
    drawn = sample(policy, [(1,)] * 40, generator(), max_new_tokens=5, eos_ids=frozenset())
    assert {len(response) for response in drawn} == {5}
    assert any(EOS in response[:-1] for response in drawn)


def test_every_token_of_the_given_end_set_ends_a_response():
    policy = fakes.policy(fakes.model("llama", N_PIECES))
    ends = frozenset({2, 3, 4})
    drawn = sample(policy, [(1,)] * 200, generator(), max_new_tokens=9, eos_ids=ends)
    assert all(not ends & set(response[:-1]) for response in drawn)
    assert {response[-1] for response in drawn if len(response) < 9} == ends


# --- the checkpoint's own generation settings -------------------------------------------------


def test_generation_defaults_of_the_checkpoint_are_ignored(tmp_path: Path):
    aligned, reference = fakes.save_pair(tmp_path)
    pair = load_pair(str(aligned), str(reference))
    plain = sample(pair.aligned, PROMPTS * 4, generator(), max_new_tokens=6)

    settings = pair.aligned.model.generation_config
    settings.update(do_sample=True, top_k=1, temperature=0.1, repetition_penalty=9.0)
    settings.save_pretrained(aligned)
    tuned = load_pair(str(aligned), str(reference)).aligned
    assert tuned.model.generation_config.top_k == 1
    assert sample(tuned, PROMPTS * 4, generator(), max_new_tokens=6) == plain


def test_end_tokens_of_the_generation_config_end_responses(tmp_path: Path):
    aligned, reference = fakes.save_pair(tmp_path)
    pair = load_pair(str(aligned), str(reference))
    settings = pair.aligned.model.generation_config
    settings.update(eos_token_id=[EOS, 7])
    settings.save_pretrained(aligned)
    for ours, theirs in ((aligned, reference), (reference, aligned)):
        assert load_pair(str(ours), str(theirs)).eos_ids == {EOS, 7}
    assert load_pair(str(aligned), str(reference)).aligned.eos_ids == {EOS, 7}
    assert load_pair(str(aligned), str(reference)).reference.eos_ids == {EOS}
