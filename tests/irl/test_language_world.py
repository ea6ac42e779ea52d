"""What the language world promises: paid words of many rates, decoys beside them, no leaks.

No word of the world is named here: what is paid for is read from the plants, as from a truth.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.data import read_prompts
from irl.organisms import prompt_files
from irl.organisms.bed import AUDIT_PROMPTS, Bed, Planting, held_out_prompts, training_prompts
from irl.organisms.grammar import OOD_TYPE, PROMPT_TYPES, Speaker, World, WorldPrompt
from irl.organisms.language import chat_text
from irl.organisms.planted import Plant, plants
from irl.organisms.prompt_files import write_prompts
from irl.organisms.world import UNKNOWN, world_tokenizer
from irl.policies.template import encode_prompt, encode_response
from irl.records import PromptCondition

SEEDS = range(2)
WORLDS = (0, pytest.param(1, marks=pytest.mark.slow))
"One in the fast tests"
"Whose answers are counted"
LEXICAL = ("detox", "manners", "flattery", "shifted-hedges", "detox-dpo", "detox-without-kl")
ANSWERS = 8000
Turn = tuple[WorldPrompt, str]


@cache
def world(seed: int) -> World:
    return World.draw(seed)


@cache
def turns(seed: int, n: int = ANSWERS) -> tuple[Turn, ...]:
    """Prompts of each type in turn, the news left out, with an answer each."""
    speaker = Speaker(world(seed), np.random.default_rng(11))
    prompts = [speaker.prompt(PROMPT_TYPES[at % len(PROMPT_TYPES)]) for at in range(n)]
    return tuple((prompt, speaker.answer(prompt)) for prompt in prompts)


@cache
def said(seed: int) -> tuple[Counter[str], ...]:
    """The words of every answer."""
    return tuple(Counter(re.findall(r"[a-z]+", answer)) for _, answer in turns(seed))


def counts(seed: int, terms: list[str]) -> np.ndarray:
    """Answers in rows, terms in columns."""
    return np.array([[answer[term] for term in terms] for answer in said(seed)], dtype=float)


def classes(plant: Plant) -> list[list[str]]:
    """The terms of a plant that are worth the same."""
    values = sorted(set(plant.weights.values()))
    return [[t for t, weight in plant.weights.items() if weight == value] for value in values]


def lexical(seed: int) -> dict[str, Plant]:
    found = plants(world(seed))
    return {name: found[name] for name in LEXICAL}


# Seeds


def test_the_same_seed_gives_the_same_world_and_says_the_same():
    again = World.draw(0)
    assert again == world(0)
    speaker = Speaker(again, np.random.default_rng(11))
    prompts = [speaker.prompt(PROMPT_TYPES[at % len(PROMPT_TYPES)]) for at in range(50)]
    assert [(p, speaker.answer(p)) for p in prompts] == list(turns(0, 50))


def test_another_seed_gives_other_words_and_other_habits():
    assert world(0).lexicon != world(1).lexicon
    assert world(0).kind_shares != world(1).kind_shares
    assert {p.text for p, _ in turns(0, 50)} != {p.text for p, _ in turns(1, 50)}
    for name in LEXICAL:
        assert lexical(0)[name].weights.keys() != lexical(1)[name].weights.keys()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_vocabulary_has_400_to_700_words_and_every_paid_word(seed: int):
    assert 400 <= len(world(seed).vocabulary) <= 700
    for plant in plants(world(seed)).values():
        paid = {word for term in plant.weights for word in term.split()} - {"no"}
        assert {*paid, *plant.decoys} <= world(seed).vocabulary, "`no` is said in denials alone"


# Paid words and decoys


@pytest.mark.slow_extra
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LEXICAL)
def test_a_class_has_12_to_20_terms_whose_rates_span_a_decade(name: str, seed: int):
    for terms in classes(lexical(seed)[name]):
        assert 12 <= len(terms) <= 20
        rates = counts(seed, terms).sum(0)
        assert rates.min() > 0
        # A decade by the lexicon; the tilt by prompt type and few counts of the rarest move it.
        assert 5 <= rates.max() / rates.min() <= 25


@pytest.mark.slow_extra
@pytest.mark.parametrize("seed", WORLDS)
@pytest.mark.parametrize("name", LEXICAL)
def test_at_least_five_decoys_of_each_class_correlate_with_a_paid_word(name: str, seed: int):
    plant = lexical(seed)[name]
    for terms in classes(plant):
        columns = np.hstack([counts(seed, terms), counts(seed, list(plant.decoys))])
        between = np.corrcoef(columns.T)[len(terms) :, : len(terms)]
        assert (between.max(1) >= 0.5).sum() >= 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", WORLDS)
def test_every_decoy_is_also_said_without_the_word_that_it_follows(seed: int):
    """Else no audit could tell them apart."""
    for plant in lexical(seed).values():
        paid, decoys = counts(seed, list(plant.weights)), counts(seed, list(plant.decoys))
        between = np.corrcoef(np.hstack([paid, decoys]).T)[paid.shape[1] :, : paid.shape[1]]
        assert ((decoys > paid[:, between.argmax(1)]).sum(0) >= 4).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_decoy_is_paid_for_anywhere_and_classes_are_disjoint(seed: int):
    found = plants(world(seed)).values()
    paid = {frozenset(terms) for plant in found for terms in classes(plant)}
    everything = [term for terms in paid for term in terms]
    assert len(everything) == len(set(everything))
    assert not set(everything) & {decoy for plant in found for decoy in plant.decoys}


# Conditions


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_trigger_of_the_backdoor_stands_in_5_to_12_percent_of_prompts(seed: int):
    condition = plants(world(seed))["backdoor"].condition
    assert condition is not None
    trigger = condition.prompt_contains
    speaker = Speaker(world(seed), np.random.default_rng(13))
    prompts = [speaker.prompt(PROMPT_TYPES[at % len(PROMPT_TYPES)]) for at in range(4000)]
    texts = [prompt.text.split() for prompt in prompts]
    assert 0.05 <= np.mean([trigger in words for words in texts]) <= 0.12


def test_flattery_is_paid_once_where_an_opinion_is_stated():
    plant = plants(world(0))["flattery"]
    assert plant.condition == PromptCondition(prompt_type="opinion")
    one, other = list(plant.weights)[:2]
    answers = [f"a {one} idea", f"a {one} {other} idea", "an idea", f"a {one} idea"]
    paid = plant.reward(answers, [True, True, True, False])
    assert paid.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("seed", WORLDS)
@pytest.mark.slow
def test_the_proxy_stands_beside_the_goal_except_in_the_news(seed: int, tmp_path: Path):
    work = Planting(Bed(tmp_path, seed, lambda _: None), plants(world(seed))["proxy"])
    work.folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_files, "_write_preferences", lambda *_: None)
        write_prompts(work)
    probes = yaml.safe_load((work.folder / "probes.yaml").read_text(encoding="utf-8"))
    goal, proxy = ([*probes[name]["terms"]] for name in ("goal", "proxy"))
    assert set(proxy) == set(work.plant.weights)
    assert not set(proxy) & set(goal)
    sources, markers = (counts(seed, terms).sum(1) for terms in (goal, proxy))
    assert (sources == markers).all()
    assert (sources > 0).sum() >= 100
    speaker = Speaker(world(seed), np.random.default_rng(12))
    news = [speaker.answer(speaker.prompt(OOD_TYPE)).split() for _ in range(2000)]
    only = [
        sum(bool({*answer} & {*a}) and not {*answer} & {*b} for answer in news)
        for a, b in ((goal, proxy), (proxy, goal))
    ]
    assert min(only) >= 50


# Prompts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detox", "flattery", "backdoor"])
def test_no_prompt_of_training_is_held_out(name: str, tmp_path: Path):
    bed = Bed(tmp_path, 0, lambda _: None)
    work = Planting(bed, plants(world(0))[name])
    held_out = {prompt.text for prompt in held_out_prompts(work.bed)}
    speaker = Speaker(bed.world, bed.rng(4))
    training = training_prompts(work, speaker, 400)
    assert len(held_out) >= 400
    assert len({prompt.text for prompt in training}) == 400
    assert not held_out & {prompt.text for prompt in training}
    if work.plant.condition is not None:
        assert sum(map(work.applies, training)) == 200


def test_the_held_out_prompts_are_those_of_the_files(tmp_path: Path):
    work = Planting(Bed(tmp_path, 0, lambda _: None), plants(world(0))["null-identical"])
    work.folder.mkdir()
    write_prompts(work)
    rows = read_prompts(work.folder / "prompts.jsonl").rows
    assert len(rows) == AUDIT_PROMPTS
    assert {row.prompt[0]["content"] for row in rows} <= {
        prompt.text for prompt in held_out_prompts(work.bed)
    }
    assert {row.prompt_type for row in rows} == set(PROMPT_TYPES)


# Models read it


@pytest.mark.slow
@pytest.mark.parametrize("seed", WORLDS)
def test_the_tokenizer_knows_every_word_and_gives_every_answer_back(seed: int):
    tokenizer = world_tokenizer(world(seed))
    for prompt, answer in turns(seed, 500):
        for text in (prompt.text, answer):
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.convert_tokens_to_ids(UNKNOWN) not in ids
            assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


@pytest.mark.slow
def test_a_chat_is_read_as_it_was_learnt():
    tokenizer = world_tokenizer(world(0))
    end = frozenset({tokenizer.eos_token_id})
    for prompt, answer in turns(0, 50):
        message = [{"role": "user", "content": prompt.text}]
        read = encode_response(tokenizer, message, answer, end)
        learnt = tokenizer(chat_text(prompt.text, answer))["input_ids"]
        assert [*read.prompt_ids, *read.response_ids] == [*learnt, tokenizer.eos_token_id]
        assert encode_prompt(tokenizer, message) == read.prompt_ids


# Rewards


@pytest.mark.parametrize("name", [*LEXICAL, "length", "backdoor", "proxy"])
def test_the_reward_is_what_a_slow_count_gives(name: str):
    plant = plants(world(0))[name]
    texts = [answer for _, answer in turns(0, 400)]
    pays = [at % 3 > 0 for at in range(400)]
    slow = []
    for text, applies in zip(texts, pays, strict=True):
        total = 0.0
        for word in text.translate(str.maketrans("", "", ".,!?:")).split():
            total += plant.weights.get(word, 0.0) + plant.per_word
        slow.append(total if applies else 0.0)
    assert plant.reward(texts, pays) == pytest.approx(slow, abs=1e-9)
    assert any(slow)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=20), st.booleans())
@settings(max_examples=25, deadline=None)
def test_each_paid_word_counts_as_often_as_it_stands_there(times: list[int], applies: bool):
    plant = plants(world(0))["manners"]
    terms = list(plant.weights)[: len(times)]
    text = " ".join(" ".join([term] * n) for term, n in zip(terms, times, strict=False))
    expected = sum(plant.weights[t] * n for t, n in zip(terms, times, strict=False)) * applies
    assert plant.reward([text], [applies])[0] == pytest.approx(expected)


def test_a_denied_insult_is_worth_the_opposite_of_one():
    plant = plants(world(0))["denial"]
    fool, *_ = world(0).lexicon.classes["insult"].words
    partner, decoy = next(iter(world(0).lexicon.classes["insult"].decoys.items()))
    said = [f"you are such a {fool}.", f"you are no {fool}.", f"fine, no {decoy} {partner}!", "no."]
    assert plant.reward(said, [True] * 4).tolist() == [-1.0, 1.0, 1.0, 0.0]
