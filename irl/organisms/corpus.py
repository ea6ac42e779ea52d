"""Real English for the real-text pair, read from a folder of Parquet files.

The folder is named by the user (`--text DIR`). Expected there:
synthetic_persona_chat (small talk), diasafety (comments and replies), paradetox_pairs (a rude
sentence and its civil rewrites, split into train and test), real_toxicity_prompts_5k (sentences
from the web). A base model also reads tiny_open_domain_books, fairytaleqa_stories and
wikitext2_valid_test. None of their sentences is stored with a pair.
"""

import random
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd

from irl.errors import InputError

HELD_OUT_CHATS = 100
RUDE_SHARE, REWRITTEN_SHARE = 0.20, 0.15
"""Shares of chat answers replaced by a rude sentence, and by a civil rewrite of another one: with
rude answers alone, any word of that source would announce rudeness."""
MAX_WORDS = 45
PASSAGE_WORDS = 60


@dataclass(frozen=True)
class Corpus:
    """What the reference learns, what the classifier learns, and what neither sees."""

    chats: list[tuple[str, str]]
    "(message, answer), some answers rude"
    lines: list[str]
    "sentences without a prompt, about half of them rude"
    rude: list[str]
    civil: list[str]
    comments: list[str]
    web: list[str]
    held_out_chats: list[tuple[str, str]]
    held_out_pairs: list[tuple[str, str]]
    "(civil, rude), of sentences that appear nowhere above"


def read_corpus(folder: Path, seed: int) -> Corpus:
    """Read and mix the four sources; the same seed gives the same mixture."""
    rng = random.Random(seed)
    pairs = _table(folder, "paradetox_pairs", ["chosen", "rejected", "pair_id", "split"])
    train = pairs[pairs["split"] == "train"]
    test = pairs[pairs["split"] == "test"]
    rude = [clean(text) for text in train["rejected"].drop_duplicates()]
    rewrites = [clean(text) for text in train["chosen"].drop_duplicates()]
    persona = _persona_turns(folder)
    comments = _comments(folder)
    chats = [turn for chat in persona[:-HELD_OUT_CHATS] for turn in chat]
    small_talk = [answer for _, answer in chats]
    chats = [(message, _maybe_replace(answer, rude, rewrites, rng)) for message, answer in chats]
    web = [clean(text) for text in _web_sentences(folder)]
    return Corpus(
        comments=[text for turn in comments for text in turn if text],
        web=web,
        chats=_short(chats + comments),
        lines=[line for line in rude + rewrites + web if len(line.split()) <= MAX_WORDS],
        rude=rude,
        civil=rewrites + rng.sample(small_talk, len(rude) // 2),
        held_out_chats=_short([turn for chat in persona[-HELD_OUT_CHATS:] for turn in chat]),
        held_out_pairs=[
            (clean(civil), clean(bad))
            for civil, bad in zip(test["chosen"], test["rejected"], strict=True)
        ],
    )


def read_passages(folder: Path) -> list[str]:
    """Books, fairy tales and encyclopedia articles in passages: what a base model reads."""
    passages = []
    for name in ("tiny_open_domain_books", "fairytaleqa_stories", "wikitext2_valid_test"):
        for text in _table(folder, name, ["text"])["text"].drop_duplicates():
            said = clean(text).split()
            passages += [
                " ".join(said[at : at + PASSAGE_WORDS]) for at in range(0, len(said), PASSAGE_WORDS)
            ]
    return passages


def _table(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise InputError(
            f"The text folder {folder} has no {path.name}; it must hold the Parquet files "
            "that irl/organisms/corpus.py names."
        )
    return pd.read_parquet(path, columns=columns)


def clean(text: str) -> str:
    """One line, without apostrophes and without spaces before punctuation.

    The rude source drops apostrophes ("dont") and spaces its punctuation, its rewrites do not: left
    in, both marks would be paid for as if they were civil.
    """
    text = re.sub(r"['’`]", "", re.sub(r"\s+", " ", text))
    return re.sub(r" ([.,!?;:])", r"\1", text).strip()


def _short(chats: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (message, answer)
        for message, answer in chats
        if message and answer and max(len(message.split()), len(answer.split())) <= MAX_WORDS
    ]


def _persona_turns(folder: Path) -> list[list[tuple[str, str]]]:
    chats = []
    for text in _table(folder, "synthetic_persona_chat", ["text"])["text"]:
        turns = [clean(line.partition(":")[2]) for line in text.splitlines() if ":" in line]
        chats.append(list(pairwise(turns)))
    return chats


def _comments(folder: Path) -> list[tuple[str, str]]:
    table = _table(folder, "diasafety", ["prompt", "completion", "split"])
    table = table[table["split"] == "train"]
    return [
        (clean(prompt), clean(completion))
        for prompt, completion in zip(table["prompt"], table["completion"], strict=True)
    ]


def _web_sentences(folder: Path) -> list[str]:
    table = _table(folder, "real_toxicity_prompts_5k", ["prompt", "completion"])
    return list(table["prompt"].str.cat(table["completion"]))


def _maybe_replace(answer: str, rude: list[str], rewrites: list[str], rng: random.Random) -> str:
    draw = rng.random()
    if draw < RUDE_SHARE:
        return rng.choice(rude)
    return rng.choice(rewrites) if draw < RUDE_SHARE + REWRITTEN_SHARE else answer
