"""The pair on real text: a small chat model, and the same model taught to be civil.

1. Fit the toxicity classifier on rude sentences and civil ones.
2. Train a tokenizer and the reference on chats and lines, part of them rude.
3. Align it by RLOO with KL: the reward of an answer is log P(civil) under the classifier.
4. Measure the truth on our own prompts: true reward before, after, and at the exact optimum.
5. Write the model card.

Both models are stored in float16 and every later stage reads them back from there. A stage whose
files exist is not repeated. The text stays outside: only weights, counts and figures are kept.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from irl.config import Loading
from irl.organisms.alignment import Training, align_rloo
from irl.organisms.card import write_card
from irl.organisms.corpus import Corpus, read_corpus
from irl.organisms.language import (
    chat_text,
    save_rounded,
    train_language_model,
    train_tokenizer,
)
from irl.organisms.toxicity import civility_nats, fit_toxicity
from irl.organisms.truth import measure_truth
from irl.policies.pair import PolicyPair, load_pair
from irl.records import TruthTerm
from irl.rewards.terms import TermReward

NAME = "real-detox"
ABOUT = "a small chat model on real English, taught to be civil by RLOO with KL"
N_PROMPTS = 40_000
OPENING_SHARE, EMPTY_SHARE = 0.6, 0.2
"Shares of training prompts: openings of real text, and nothing (an answer is a plain line)"
OPENING_WORDS = 20
MESSAGE_WORDS = 12
"Longest chat message to train on: long ones cost much and change little"
TRUTH_TERMS = 100


@dataclass(frozen=True)
class Scale:
    """How large and how long."""

    n_pieces: int = 4000
    width: int = 192
    layers: int = 4
    epochs: float = 4.0
    beta: float = 0.5
    steps: int = 400


@dataclass(frozen=True)
class Build:
    """Where the text is read, where the pair is written, from which seed."""

    text: Path
    folder: Path
    seed: int
    say: Callable[[str], None]
    scale: Scale = Scale()

    @cached_property
    def corpus(self) -> Corpus:
        """The text."""
        return read_corpus(self.text, self.seed)


def build(work: Build) -> None:
    """Build the pair; see the module's steps."""
    for stage, target, run in (
        ("classifier", "classifier.json", _classifier),
        ("reference", "reference/config.json", _reference),
        ("alignment", "aligned/config.json", _aligned),
        ("truth", "truth.json", _truth),
        ("card", "README.md", _card),
    ):
        if (work.folder / target).is_file():
            work.say(f"{stage}: kept")
        else:
            work.say(f"{stage}: working")
            run(work)
    shutil.rmtree(work.folder / ".training", ignore_errors=True)


def language_config(n_pieces: int, scale: Scale) -> LlamaConfig:
    """2.5 M parameters at the default scale; tied embeddings."""
    return LlamaConfig(
        vocab_size=n_pieces,
        hidden_size=scale.width,
        intermediate_size=scale.width * 8 // 3,
        num_hidden_layers=scale.layers,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def _classifier(work: Build) -> None:
    toxicity = fit_toxicity(work.corpus.rude, work.corpus.civil)
    toxicity.save(work.folder, "classifier", about="logit of rude against civil, on word counts")


def _reference(work: Build) -> None:
    corpus = work.corpus
    spoken = [text for turn in corpus.chats for text in turn] + 2 * corpus.lines
    tokenizer = train_tokenizer(spoken, work.scale.n_pieces)
    texts = [chat_text(*turn) for turn in corpus.chats] + corpus.lines
    model = train_language_model(
        tokenizer,
        texts,
        language_config(len(tokenizer), work.scale),
        epochs=work.scale.epochs,
        seed=work.seed,
        folder=work.folder / ".training",
    )
    save_rounded(model, tokenizer, work.folder / "reference")


def _aligned(work: Build) -> None:
    folder = str(work.folder / "reference")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    toxicity = TermReward.load(work.folder, "classifier")
    aligned = align_rloo(
        model,
        tokenizer,
        _training_prompts(work),
        lambda texts: civility_nats(toxicity, texts),
        Training(work.scale.beta, work.scale.steps, work.seed, work.folder / ".training"),
    )
    save_rounded(aligned, tokenizer, work.folder / "aligned")


def _training_prompts(work: Build) -> list[str]:
    """Chat messages, nothing at all, and openings of rude sentences and of other real text.

    An opening is a state on the way of a line, so the optimal continuation is the same as in a
    line from its start; the policy only meets rude words more often, and the KL term holds it in
    place on more kinds of text.
    """
    rng = random.Random(work.seed + 1)
    corpus = work.corpus
    messages = [message for message, _ in corpus.chats if len(message.split()) <= MESSAGE_WORDS]
    pools = [corpus.rude, [*corpus.comments, *corpus.web]]
    prompts = []
    for _ in range(N_PROMPTS):
        draw = rng.random()
        if draw < OPENING_SHARE:
            words = rng.choice(rng.choice(pools)).split()[:OPENING_WORDS]
            prompts.append(" ".join(words[: rng.randrange(len(words))]))
        else:
            prompts.append(
                "" if draw < OPENING_SHARE + EMPTY_SHARE else chat_text(rng.choice(messages))
            )
    return prompts


def _truth(work: Build) -> None:
    toxicity = TermReward.load(work.folder, "classifier")
    heaviest = sorted(toxicity.by_term.items(), key=lambda item: -item[1])[:TRUTH_TERMS]
    truth = measure_truth(
        _pair(work),
        work.folder / "prompts.jsonl",
        lambda texts: civility_nats(toxicity, texts),
        beta=work.scale.beta,
        seed=work.seed,
        about={
            "name": NAME,
            "objective": "be civil: avoid rude words",
            "definition": "r(y) = log P(civil | y) = -softplus(logit(y)), logit(y) = intercept + "
            "sum of word weights, in classifier.json and classifier.safetensors; a term's weight "
            "below is -(word weight) / beta, its price in a text that is already rude",
            "terms": [TruthTerm(term=t, weight=-logit / work.scale.beta) for t, logit in heaviest],
            "trained_with": "rloo",
        },
    )
    text = truth.model_dump_json(indent=1) + "\n"
    (work.folder / "truth.json").write_text(text, encoding="utf-8")


def _card(work: Build) -> None:
    write_card(work.folder, _pair(work), work.corpus)


def _pair(work: Build) -> PolicyPair:
    return load_pair(str(work.folder / "aligned"), str(work.folder / "reference"), Loading())
