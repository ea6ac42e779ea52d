"""A whole language model as a reward: the loop fits it, others can load it, nothing leaks."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from irl.config import Learning, Loading
from irl.errors import InputError, PolicyError
from irl.policies.reward_model import load_scorer
from irl.recovery.bradley_terry import by_pairs
from irl.recovery.examples import Examples
from irl.rewards.head_reward import HeadReward
from irl.rewards.transformer import GAP, TokenIds, Transformer, transformer
from tests import fakes

PROMPTS = ["what do you think", "please tell me more", "what do you think", ""]
TEXTS = [" i like apples", " no, a stupid idea", " the cat sat on the mat and looked", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.save(fakes.model(), tmp_path_factory.mktemp("policy"))


def start(folder: Path, members: int) -> Transformer:
    return transformer(load_scorer(str(folder), Loading()))(members, 1, torch.Generator())


def drawn(folder: Path, members: int = 2) -> Transformer:
    """Members that differ, with a score that is not 0."""
    head = start(folder, members)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in head.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return head


def reward(folder: Path) -> HeadReward:
    head = drawn(folder)
    return HeadReward(TokenIds(head.scorer), head, chosen=1)


def test_a_policy_starts_with_a_score_of_0(folder: Path):
    head = start(folder, 2)
    assert HeadReward(TokenIds(head.scorer), head).members(TEXTS, PROMPTS).abs().max() == 0
    assert head.squared_weights().tolist() == [0, 0]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "qwen3", "mistral", "gemma"])
def test_others_load_what_is_stored_and_score_alike(architecture: str, tmp_path: Path):
    made = reward(fakes.save(fakes.model(architecture), tmp_path / "policy"))
    made.save(tmp_path, "head")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "head-1")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "head-1")
    for text, prompt, ours in zip(TEXTS, PROMPTS, made(TEXTS, PROMPTS).tolist(), strict=True):
        ids = torch.tensor(made.features.scorer.ids([prompt], [text]))
        with torch.no_grad():
            assert float(model(input_ids=ids).logits) == pytest.approx(ours, abs=1e-4)
    assert len(tokenizer) == 320


@pytest.mark.parametrize("pad", [None, "eos"])
def test_others_find_the_last_token_where_the_pad_is_the_end(
    pad: str | None, folder: Path, tmp_path: Path
):
    """The usual setting of GPT-2 and Llama; in a padded batch, by the tokenizer that is stored."""
    made = reward(folder)
    tokenizer = made.features.scorer.tokenizer
    tokenizer.pad_token = tokenizer.eos_token if pad else None
    made.save(tmp_path, "head")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "head-1")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "head-1")
    rows = made.features.scorer.ids(PROMPTS, TEXTS)
    theirs.padding_side = "right"
    batch = theirs.pad({"input_ids": [list(row) for row in rows]}, return_tensors="pt")
    with torch.no_grad():
        found = model(**batch).logits.squeeze(1)
    assert torch.allclose(found, made(TEXTS, PROMPTS), atol=1e-4)


def test_a_stored_reward_is_the_same_to_the_last_bit(folder: Path, tmp_path: Path):
    made = reward(folder)
    made.save(tmp_path, "head")
    again = HeadReward.load(tmp_path, "head")
    assert torch.equal(again.members(TEXTS, PROMPTS), made.members(TEXTS, PROMPTS))
    assert again.chosen == 1
    assert torch.equal(made.members(TEXTS, PROMPTS), again.members(TEXTS, PROMPTS))


def test_the_score_of_a_text_does_not_depend_on_its_batch(folder: Path):
    """A released reward map depended on batch mates."""
    made = reward(folder)
    together = made(TEXTS, PROMPTS)
    alone = torch.cat([made([t], [p]) for t, p in zip(TEXTS, PROMPTS, strict=True)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_word_inside_an_answer_changes_its_score(folder: Path):
    """A released trainer read only the last character."""
    made = reward(folder)
    one, other = made([" the cat sat on the mat", " the dog sat on the mat"], ["what"] * 2)
    assert abs(float(one - other)) > 1e-4


def test_a_reward_that_reads_prompts_asks_for_them(folder: Path):
    with pytest.raises(InputError, match="prompt of every text"):
        reward(folder)(TEXTS)


def test_members_are_copied_and_joined_whole(folder: Path):
    head = drawn(folder, 3)
    ids = TokenIds(head.scorer)(TEXTS, PROMPTS)
    with torch.no_grad():
        scores = head(ids)
        assert torch.equal(head.members_at(torch.tensor([2, 0]))(ids), scores[[2, 0]])
        parts = [head.members_at(torch.tensor([at])) for at in range(3)]
        assert torch.equal(Transformer.joined(parts)(ids), scores)
    assert (ids == GAP).any()


def test_of_a_long_prompt_the_end_is_read(folder: Path, caplog: pytest.LogCaptureFixture):
    scorer = load_scorer(str(folder), Loading())
    (row,) = scorer.ids(["the cat " * 60], [" sat"])
    assert len(row) == 64
    assert "1 of 1 answers with their prompts do not fit" in caplog.text
    (short,) = scorer.ids([""], [" sat"])
    assert row[-2:] == short[-2:]


@pytest.mark.slow
def test_the_one_loop_fits_it_and_each_member_as_it_would_alone(folder: Path):
    scorer = load_scorer(str(folder), Loading())
    prompts = [f"what do you think {at}" for at in range(12) for _ in range(8)]
    aligned = torch.arange(96) % 8 < 4
    texts = [" i like apples" if ours else " no, a stupid idea" for ours in aligned.tolist()]
    ids = TokenIds(scorer)(texts, prompts)
    examples = Examples(ids, torch.arange(12).repeat_interleave(8), aligned)
    learning = Learning(seeds=(0, 1), penalties=(1e-3,), epochs=4, learning_rate=1e-3)
    fitted = by_pairs(examples, transformer(scorer), learning)
    with torch.no_grad():
        scores = fitted.head(ids)
    assert (scores[:, aligned].min(1).values > scores[:, ~aligned].max(1).values).all()
    single = learning.model_copy(update={"seeds": (1,)})
    alone = by_pairs(examples, transformer(scorer), single)
    with torch.no_grad():
        assert torch.allclose(alone.head(ids)[0], scores[1], atol=1e-5)
    untouched = load_scorer(str(folder), Loading())
    for before, after in zip(untouched.parameters(), scorer.parameters(), strict=True):
        assert torch.equal(before, after), "the checkpoint that members start from stays as it was"


def test_what_is_no_language_model_is_refused(tmp_path: Path):
    with pytest.raises(PolicyError, match="no directory"):
        load_scorer(str(tmp_path / "none"), Loading())
    broken = fakes.model()
    with torch.no_grad():
        broken.get_input_embeddings().weight[3, 3] = torch.nan
    with pytest.raises(PolicyError, match="NaN"):
        load_scorer(str(fakes.save(broken, tmp_path / "nan")), Loading())
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(PolicyError, match="merge it"):
        load_scorer(str(tmp_path), Loading())
