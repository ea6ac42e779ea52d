"""Embeddings as what a reward reads: the answer's own tokens, cached by content, stored exactly."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from irl.config import HeadSettings, Loading
from irl.errors import InputError, PolicyError
from irl.jobs.learning import identity, load_base
from irl.policies.checkpoint import files_sha256
from irl.policies.encoder import Encoder, hidden_states, load_encoder, of_policy
from irl.policies.reward_model import load_scorer
from irl.policies.template import encode_response
from irl.rewards.embeddings import Embeddings
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import linear, mlp
from irl.tensors import TokenSequence
from tests import fakes

PROMPTS = ["what do you think", "please tell me more", "what do you think", ""]
TEXTS = [" i like apples", " no, a stupid idea", " the cat sat on the mat and looked", ""]


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.save(fakes.model(), tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def sentence_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The library takes seconds to import: for slow tests alone.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    inner, folder = tmp_path_factory.mktemp("bert"), tmp_path_factory.mktemp("sentences")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=320, intermediate_size=16, pad_token_id=0, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251
        BertModel(config).save_pretrained(inner)
    fakes.tokenizer().save_pretrained(inner)
    words = Transformer(str(inner), max_seq_length=32)
    SentenceTransformer(modules=[words, Pooling(16, "mean")], device="cpu").save(str(folder))
    return folder


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral"])
def test_hidden_states_are_averaged_over_the_answers_own_tokens(architecture: str):
    policy = fakes.policy(fakes.model(architecture))
    sequences = [
        encode_response(policy.tokenizer, prompt, text, policy.eos_ids)
        for prompt, text in zip(PROMPTS, TEXTS, strict=True)
    ]
    found = hidden_states(policy, sequences)
    for row, sequence in zip(found, sequences, strict=True):
        ids = torch.tensor([[*sequence.prompt_ids, *sequence.response_ids]])
        with torch.no_grad():
            hidden = policy.body(input_ids=ids).last_hidden_state[0]
        assert torch.allclose(row, hidden[len(sequence.prompt_ids) :].mean(0), atol=1e-5)


def test_an_answer_of_no_tokens_and_one_beyond_the_context_are_no_stumbling_blocks(
    caplog: pytest.LogCaptureFixture,
):
    policy = fakes.policy(fakes.model())
    prompt, answer = (5, 6, 7), tuple(range(5, 100))
    empty, long = TokenSequence(prompt, ()), TokenSequence(prompt, answer)
    found = hidden_states(policy, [empty, long])
    room = TokenSequence(prompt[-1:], answer[: policy.context_tokens - 1])
    assert found[0].abs().max() == 0
    assert torch.allclose(found[1], hidden_states(policy, [room])[0], atol=1e-6)
    assert "1 of 2 answers with their prompts do not fit into the 64 tokens" in caplog.text


def test_of_a_prompt_that_is_too_long_the_end_is_read():
    policy = fakes.policy(fakes.model())
    prompt, answer = tuple(range(5, 85)), (7, 8, 9)
    found = hidden_states(policy, [TokenSequence(prompt, answer)])
    kept = TokenSequence(prompt[-61:], answer)
    assert torch.allclose(found, hidden_states(policy, [kept]), atol=1e-6)


def test_the_prompt_and_words_inside_an_answer_matter():
    encoder = of_policy(fakes.policy(fakes.model()))
    one = encoder.encode(["what"], [" the cat sat on the mat"])
    assert not torch.allclose(one, encoder.encode(["please"], [" the cat sat on the mat"]))
    assert not torch.allclose(one, encoder.encode(["what"], [" the dog sat on the mat"]))


@pytest.mark.slow
def test_a_directory_is_read_as_what_it_is(policy_folder: Path, sentence_folder: Path):
    policy = load_encoder(str(policy_folder), Loading())
    sentences = load_encoder(str(sentence_folder), Loading())
    assert (policy.kind, sentences.kind) == ("policy", "sentence-encoder")
    assert (policy.reads_prompts, sentences.reads_prompts) == (True, False)
    vectors = sentences.encode(PROMPTS, TEXTS)
    assert vectors.shape == (4, 16)
    alone = torch.cat([sentences.encode([""], [text]) for text in TEXTS])
    assert torch.allclose(vectors, alone, atol=1e-5)


def test_what_cannot_embed_is_refused(tmp_path: Path, policy_folder: Path):
    with pytest.raises(PolicyError, match="no directory"):
        load_encoder(str(tmp_path / "none"), Loading())
    reward_model = tmp_path / "reward-model"
    load_scorer(str(policy_folder), Loading()).save(reward_model)
    with pytest.raises(PolicyError, match="lacks 1 of the model's tensors"):
        load_encoder(str(reward_model), Loading())
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(PolicyError, match="merge it"):
        load_encoder(str(tmp_path), Loading())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "words"), [("nan", "NaN"), ("missing", "would be random"), ("cut", "cannot be load")]
)
def test_a_damaged_sentence_encoder_is_refused(
    damage: str, words: str, sentence_folder: Path, tmp_path: Path
):
    """The library draws what is missing at random."""
    folder = tmp_path / "damaged"
    shutil.copytree(sentence_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    if damage == "nan":
        tensors[name][3, 3] = torch.nan
    else:
        del tensors[name]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    if damage == "cut":
        (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(PolicyError, match=words):
        load_encoder(str(folder), Loading())


@pytest.mark.slow
def test_what_a_sentence_encoder_does_not_read_is_said(
    sentence_folder: Path, caplog: pytest.LogCaptureFixture
):
    encoder = load_encoder(str(sentence_folder), Loading())
    encoder.encode(["", ""], ["the cat sat " * 40, "the cat"])
    assert "1 of 2 answers are longer than the 32 tokens" in caplog.text


def test_features_that_are_not_finite_are_refused(tmp_path: Path):
    def encode(prompts, texts):
        return torch.full((len(texts), 2), torch.inf)

    encoder = Encoder("fake", tmp_path, "0", "policy", "auto", "float32", encode)
    with pytest.raises(InputError, match="not finite"):
        Embeddings(encoder).standardised(TEXTS, PROMPTS)


def test_texts_and_prompts_go_together():
    encoder = of_policy(fakes.policy(fakes.model()))
    reward = HeadReward(Embeddings(encoder), linear(2, 32, torch.Generator()))
    assert reward.members([], []).shape == (2, 0)
    with pytest.raises(InputError, match="4 texts and 1 prompts"):
        reward(TEXTS, PROMPTS[:1])


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").touch()
    embeddings, _ = counting(tmp_path / "file")
    assert embeddings(TEXTS, PROMPTS).shape == (4, 2)
    assert "not kept for another time" in caplog.text


def counting(folder: Path) -> tuple[Embeddings, list[int]]:
    calls = []

    def encode(prompts, texts):
        calls.append(len(texts))
        return torch.tensor(
            [[float(len(p)), float(len(t))] for p, t in zip(prompts, texts, strict=True)]
        )

    return Embeddings(
        Encoder("fake", folder, "0", "policy", "auto", "float32", encode), cache=folder
    ), calls


def test_the_same_texts_are_embedded_once(tmp_path: Path):
    embeddings, calls = counting(tmp_path)
    first = embeddings(TEXTS, PROMPTS)
    again, other = counting(tmp_path)
    assert torch.equal(again(TEXTS, PROMPTS), first)
    assert (calls, other) == ([4], [])
    embeddings(TEXTS, PROMPTS[::-1])
    embeddings(TEXTS[:2], PROMPTS[:2])
    assert calls == [4, 4, 2], "other prompts or texts are other content"


def test_a_damaged_file_of_the_cache_is_made_again(tmp_path: Path):
    embeddings, calls = counting(tmp_path)
    first = embeddings(TEXTS, PROMPTS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(embeddings(TEXTS, PROMPTS), first)
    assert calls == [4, 4]
    assert [one.suffix for one in tmp_path.iterdir()] == [".safetensors"]


def test_features_are_standardised_and_constant_directions_stay(tmp_path: Path):
    embeddings, _ = counting(tmp_path)
    texts, prompts = ["a", "bcd", "ef"], ["x"] * 3
    made = embeddings.standardised(texts, prompts)(texts, prompts)
    assert torch.allclose(made[:, 1].mean(), torch.tensor(0.0), atol=1e-6)
    assert torch.allclose(made[:, 1].std(), torch.tensor(1.0))
    assert made[:, 0].abs().max() == 0


@pytest.mark.parametrize("form", [linear, mlp(4)], ids=["linear", "mlp"])
@pytest.mark.parametrize("kind", ["policy", pytest.param("sentences", marks=pytest.mark.slow)])
def test_a_stored_reward_is_the_same_to_the_last_bit(
    form, kind: str, request: pytest.FixtureRequest, tmp_path: Path
):
    name = "policy_folder" if kind == "policy" else "sentence_folder"
    source = request.getfixturevalue(name)
    encoder = load_encoder(str(source), Loading())
    features = Embeddings(encoder).standardised(TEXTS, PROMPTS)
    head = form(2, features(TEXTS, PROMPTS).shape[1], torch.Generator())
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(0))
    reward = HeadReward(features, head, chosen=1)
    reward.save(tmp_path, "head")
    again = HeadReward.load(tmp_path, "head")
    assert torch.equal(again.members(TEXTS, PROMPTS), reward.members(TEXTS, PROMPTS))
    if kind == "policy":
        with pytest.raises(InputError, match="prompt of every text"):
            again(TEXTS)


def test_a_reward_whose_encoder_has_changed_is_refused(tmp_path: Path):
    folder = fakes.save(fakes.model(), tmp_path / "policy")
    features = Embeddings(load_encoder(str(folder), Loading())).standardised(TEXTS, PROMPTS)
    HeadReward(features, linear(1, 32, torch.Generator())).save(tmp_path / "reward", "head")
    fakes.save(fakes.model(seed=5), folder)
    with pytest.raises(InputError, match="has changed"):
        HeadReward.load(tmp_path / "reward", "head")


def test_what_a_run_depends_on_names_the_content_of_the_base(policy_folder: Path):
    settings = HeadSettings(features="embeddings", base=str(policy_folder))
    base = load_base(settings)
    assert base is not None
    assert identity(settings, base) == {"base": files_sha256(policy_folder)}
    assert load_base(HeadSettings()) is None
    with pytest.raises(InputError, match="--set base=DIR"):
        load_base(HeadSettings(form="transformer"))


def test_a_prompt_that_cannot_be_read_is_named():
    policy = fakes.policy(fakes.model())
    policy.tokenizer.chat_template = None
    chat = [{"role": "user", "content": "hello"}]
    with pytest.raises(InputError, match=r"Prompt 2 of 2 cannot be read .* no chat template"):
        of_policy(policy).encode(["hello", chat], ["a", "b"])


@pytest.mark.slow
def test_a_reward_and_its_encoder_that_lie_together_are_moved_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clone = tmp_path / "clone"
    fakes.save(fakes.model(), clone / "models" / "reference")
    monkeypatch.chdir(clone)
    read = Embeddings(load_encoder("models/reference", Loading())).standardised(TEXTS, PROMPTS)
    for place, inside in ((clone / "runs" / "reward", True), (tmp_path / "reward", False)):
        place.mkdir(parents=True)
        document = read.save(place, "head")
        assert Path(document["encoder"]).is_absolute() != inside
    document = read.save(clone / "runs" / "reward", "head")
    moved = clone.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    again = Embeddings.load(moved / "runs" / "reward", "head", document)
    assert again.encoder.sha256 == read.encoder.sha256
