"""The real pair's build, on a small made-up text folder with the real trainers."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from irl.errors import InputError
from irl.organisms.corpus import MAX_WORDS, PASSAGE_WORDS, read_corpus, read_passages
from irl.organisms.language import CHAT_TEMPLATE, chat_text, train_tokenizer
from irl.organisms.real_detox import SCALES, Build, Run, Scale, build, true_reward
from irl.organisms.toxicity import bounded_civility, civility_nats, fit_toxicity
from irl.policies.pair import load_pair
from irl.policies.template import encode_prompt, encode_response
from irl.records import Truth
from irl.rewards.terms import TermReward

THINGS = ("house", "garden", "dog", "plan", "song", "cake", "road", "idea", "team", "book")
RUDE = ("stupid", "damn", "crappy", "bloody", "idiotic")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four Parquet files of the form that the corpus reads, every sentence made up here."""
    folder = tmp_path_factory.mktemp("text")
    pairs = [
        {
            "chosen": f"this is the {thing} number {n}",
            "rejected": f"this is the {RUDE[n % len(RUDE)]} {thing} number {n} .",
            "pair_id": str(i * 20 + n),
            "split": "test" if n >= 16 else "train",
        }
        for i, thing in enumerate(THINGS)
        for n in range(20)
    ]
    pd.DataFrame(pairs).to_parquet(folder / "paradetox_pairs.parquet")
    chat = "\n".join(
        f"User {1 + n % 2}: I like my {thing} number {n}." for n, thing in enumerate(THINGS)
    )
    pd.DataFrame({"text": [chat] * 130}).to_parquet(folder / "synthetic_persona_chat.parquet")
    comments = [
        {"prompt": f"who saw the {thing}", "completion": f"we saw the {thing}", "split": split}
        for thing in THINGS
        for split in ("train", "test")
    ]
    pd.DataFrame(comments).to_parquet(folder / "diasafety.parquet")
    web = [{"prompt": f"the {thing}", "completion": " was there."} for thing in THINGS]
    pd.DataFrame(web).to_parquet(folder / "real_toxicity_prompts_5k.parquet")
    return folder


@pytest.fixture(scope="module")
def books(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and what a base model reads."""
    folder = tmp_path_factory.mktemp("books")
    shutil.copytree(text, folder, dirs_exist_ok=True)
    for name in ("tiny_open_domain_books", "fairytaleqa_stories", "wikitext2_valid_test"):
        said = f"{name} tells of a long way home "
        tale = (said * 40).split()[: 2 * PASSAGE_WORDS + 10]
        pd.DataFrame({"text": [" ".join(tale)] * 2}).to_parquet(folder / f"{name}.parquet")
    return folder


def test_held_out_text_reaches_neither_the_reference_nor_the_classifier(text: Path) -> None:
    corpus = read_corpus(text, seed=0)
    learnt = {*corpus.lines, *corpus.rude, *corpus.civil, *(t for c in corpus.chats for t in c)}
    assert len(corpus.held_out_pairs) == 40
    assert not learnt & {side for pair in corpus.held_out_pairs for side in pair}
    assert all(len(t.split()) <= MAX_WORDS for t in corpus.lines)


def test_the_same_seed_gives_the_same_mixture_and_another_seed_another(text: Path) -> None:
    assert read_corpus(text, 3) == read_corpus(text, 3)
    assert read_corpus(text, 3).chats != read_corpus(text, 4).chats


def test_a_text_folder_without_its_files_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"paradetox_pairs\.parquet"):
        read_corpus(tmp_path, 0)


def test_rude_words_cost_their_weight_and_civil_texts_gain_nothing_by_more_words() -> None:
    rude = [f"you {word} thing {n}" for word in RUDE for n in range(6)]
    civil = [f"you nice thing {n}" for n in range(30)]
    toxicity = fit_toxicity(rude, civil)
    weights = toxicity.by_term
    assert all(weights[word] > 0 > weights["nice"] for word in RUDE)
    once, twice = civility_nats(toxicity, ["stupid " * 20, "stupid " * 21])
    assert float(once - twice) == pytest.approx(weights["stupid"], abs=1e-6)
    assert (civility_nats(toxicity, civil) <= 0).all()
    expected = -math.log1p(math.exp(float(toxicity(["nice"])[0])))
    assert float(civility_nats(toxicity, ["nice"])[0]) == pytest.approx(expected, abs=1e-9)


def test_the_chat_template_writes_what_the_trainer_saw_with_one_bos() -> None:
    tokenizer = train_tokenizer(["hello there, how are you today?"] * 3, 300)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    message = [{"role": "user", "content": "hello"}]
    assert encode_prompt(tokenizer, message) == tuple(tokenizer(chat_text("hello"))["input_ids"])
    sequence = encode_response(tokenizer, message, "how are you", frozenset({2}))
    trained = (*tokenizer(chat_text("hello", "how are you"))["input_ids"], 2)
    assert (*sequence.prompt_ids, *sequence.response_ids) == trained
    assert trained.count(1) == 1


def test_the_bounded_reward_tells_civil_texts_apart_and_stays_within_its_bounds() -> None:
    toxicity = TermReward(("stupid", "nice"), (4.0, -1.0), intercept=-1.0)
    texts = ["stupid " * 50, "stupid", "", "nice", "nice nice"]
    values = bounded_civility(toxicity, texts, 5.0).tolist()
    assert values == sorted(values)
    assert values[0] == pytest.approx(-5.0)
    assert values[2] == pytest.approx(5 * math.tanh(1 / 5))
    assert values[4] - values[3] > 10 * float(civility_nats(toxicity, texts)[3:].diff())


def test_books_are_read_in_passages_of_the_same_length(text: Path, books: Path) -> None:
    passages = read_passages(books)
    assert {len(passage.split()) for passage in passages} == {PASSAGE_WORDS, 10}
    with pytest.raises(InputError, match=r"tiny_open_domain_books\.parquet"):
        read_passages(text)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the trainers warn of deprecations in each other
def test_a_build_with_a_base_starts_the_reference_from_it(books: Path, tmp_path: Path) -> None:
    prompts = [{"prompt": [{"role": "user", "content": f"who has the {t}"}]} for t in THINGS]
    lines = "".join(json.dumps(row) + "\n" for row in prompts)
    (tmp_path / "prompts.jsonl").write_text(lines, encoding="utf-8")
    run = Run(openings=0.5, empty=0.2, other_text=True, steps=1, seed=0)
    scale = replace(
        SCALES["real-detox-0.5m"], n_pieces=330, width=24, layers=1, epochs=1.0, runs=(run,)
    )
    build(Build(books, tmp_path, 0, lambda _: None, name="real-detox-0.5m", other_scale=scale))
    base, reference = (
        load_pair(str(tmp_path / side), str(tmp_path / "aligned")).aligned.model.state_dict()
        for side in ("base", "reference")
    )
    apart = [float((base[name] - reference[name]).abs().max()) for name in base]
    assert 0 < max(apart) < 0.1, "a short fine-tuning moves it, and not far"
    reward = true_reward(tmp_path)
    assert float(reward(["damn " * 30])[0]) == pytest.approx(-5.0, abs=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the trainers warn of deprecations in each other
def test_a_build_gives_a_loadable_float16_pair_its_truth_and_no_training_sentence(
    text: Path, tmp_path: Path
) -> None:
    prompts = [{"prompt": [{"role": "user", "content": f"who has the {t}"}]} for t in THINGS * 2]
    for n, row in enumerate(prompts):
        row["prompt"][0]["content"] += "!" * n
    lines = "".join(json.dumps(row) + "\n" for row in prompts)
    (tmp_path / "prompts.jsonl").write_text(lines, encoding="utf-8")
    said: list[str] = []
    runs = tuple(Run(openings=0.5, empty=0.2, other_text=o, steps=2, seed=0) for o in (True, False))
    scale = Scale(n_pieces=330, width=24, layers=1, epochs=2.0, runs=runs)
    work = Build(text, tmp_path, 0, said.append, other_scale=scale)

    build(work)

    pair = load_pair(str(tmp_path / "aligned"), str(tmp_path / "reference"))
    assert not pair.identical()
    stored = (tmp_path / "aligned" / "model.safetensors").stat().st_size
    assert stored < 3 * pair.aligned.checkpoint.n_parameters
    for weights in pair.aligned.model.parameters():
        assert torch.equal(weights, weights.half().float())
    truth = Truth.model_validate_json((tmp_path / "truth.json").read_bytes())
    assert truth.gold_before.value <= truth.gold_optimum <= 0
    toxicity = TermReward.load(tmp_path, "classifier")
    assert truth.terms[0].weight == pytest.approx(-max(toxicity.weights) / scale.beta)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.count('| "who has the') == 20
    assert not [line for line in work.corpus.lines if line.lower() in card.lower()]
    assert not list(tmp_path.glob(".training*"))

    said.clear()
    build(work)
    assert all(line.endswith("kept") for line in said)
