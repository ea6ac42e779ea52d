"""Pairs on real text: a small chat model, and the same model taught to be civil.

1. Fit the toxicity classifier on rude sentences and civil ones.
2. Train a tokenizer and the reference on chats and lines, part of them rude. Where the scale says
   so, a base model is trained on books first, and the reference is its supervised fine-tuning.
3. Align it by RLOO with KL: the reward of an answer is log P(civil) under the classifier, or its
   bounded logit. Several runs with different prompts are averaged in weights.
4. Measure the truth on our own prompts: true reward before, after, and at the exact optimum.
5. Write the model card.

Both models are stored in float16 and every later stage reads them back from there. A stage whose
files exist is not repeated. The text stays outside: only weights, counts and figures are kept.
"""

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from irl.config import Loading
from irl.data import read_prompts
from irl.errors import InputError
from irl.organisms.alignment import Training, align_rloo
from irl.organisms.card import write_card
from irl.organisms.corpus import Corpus, read_corpus, read_passages
from irl.organisms.language import (
    Fitting,
    chat_text,
    fit_language_model,
    save_rounded,
    train_tokenizer,
)
from irl.organisms.toxicity import bounded_civility, civility_nats, fit_toxicity
from irl.organisms.truth import measure_truth
from irl.policies.pair import PolicyPair, load_pair
from irl.records import Truth, TruthTerm
from irl.rewards.terms import TermReward

NAME = "real-detox"
TrueReward = Callable[[Sequence[str]], Float[Tensor, " text"]]
N_PROMPTS = 40_000
OPENING_WORDS = 20
MESSAGE_WORDS = 12
"Longest chat message to train on: long ones cost much and change little"
TRUTH_TERMS = 100


@dataclass(frozen=True)
class Run:
    """One alignment: what it is prompted with (the rest are chat messages), and for how long."""

    openings: float
    "share of prompts that are openings of real text"
    empty: float
    "share of prompts that are nothing: the answer is a plain line"
    other_text: bool
    "half of the openings from comments and web sentences, not all from rude sentences"
    steps: int
    seed: int
    "added to the build's"


@dataclass(frozen=True)
class Scale:
    """How large and how long."""

    about: str = "a small chat model on real English, taught to be civil by RLOO with KL"
    n_pieces: int = 4000
    width: int = 192
    layers: int = 4
    base_epochs: float = 0.0
    "of a base model on books, from which the reference starts; 0: there is none"
    epochs: float = 4.0
    beta: float = 0.5
    logit_bound: float | None = None
    """Pay bound tanh(-logit / bound) in place of log P(civil): the experiment of arXiv 2410.12491
    pays the logit of its classifier, which runs from -4 to 5. Unlike log P(civil) it tells civil
    texts apart too."""
    runs: tuple[Run, ...] = (
        Run(openings=0.4, empty=0.25, other_text=False, steps=400, seed=0),
        Run(openings=0.6, empty=0.2, other_text=True, steps=400, seed=0),
        Run(openings=0.6, empty=0.2, other_text=True, steps=200, seed=1),
    )


def _sized(size: str, width: int, steps: int) -> Scale:
    return Scale(
        about=f"a model of {size} parameters, of books, fine-tuned on real English and then taught "
        "to be civil by RLOO with KL",
        width=width,
        base_epochs=1.0,
        epochs=2.0,
        logit_bound=5.0,
        runs=(Run(openings=0.6, empty=0.2, other_text=True, steps=steps, seed=0),),
    )


SCALES = {
    NAME: Scale(),
    f"{NAME}-0.5m": _sized("0.5 M", width=72, steps=400),
    f"{NAME}-1m": _sized("1 M", width=120, steps=400),
    f"{NAME}-3m": _sized("3 M", width=216, steps=400),
}


@dataclass(frozen=True)
class Build:
    """Where the text is read, where the pair is written, from which seed."""

    text: Path
    folder: Path
    seed: int
    say: Callable[[str], None]
    name: str = NAME
    "which of SCALES"
    other_scale: Scale | None = None
    "in its place"

    @property
    def scale(self) -> Scale:
        """How large and how long."""
        return self.other_scale or SCALES[self.name]

    @cached_property
    def corpus(self) -> Corpus:
        """The text."""
        return read_corpus(self.text, self.seed)

    @cached_property
    def passages(self) -> list[str]:
        """What the base model reads."""
        return read_passages(self.text) if self.scale.base_epochs else []

    def reward(self, texts: Sequence[str]) -> Float[Tensor, " text"]:
        """The true reward of answers."""
        return _reward(self.folder, self.scale.logit_bound)(texts)


def build(work: Build) -> None:
    """Build the pair; see the module's steps."""
    for stage, target, run in (
        ("classifier", "classifier.json", _classifier),
        ("base", "base/config.json", _base),
        ("reference", "reference/config.json", _reference),
        ("alignment", "aligned/config.json", _aligned),
        ("truth", "truth.json", _truth),
        ("card", "README.md", _card),
    ):
        if stage == "base" and not work.scale.base_epochs:
            continue
        if (work.folder / target).is_file():
            work.say(f"{stage}: kept")
        else:
            work.say(f"{stage}: working")
            run(work)
    shutil.rmtree(work.folder / ".training", ignore_errors=True)


def true_reward(folder: Path) -> TrueReward:
    """The reward that the pair in a folder was paid, callable on texts."""
    truth = Truth.model_validate_json((folder / "truth.json").read_bytes())
    if truth.name not in SCALES:
        known = ", ".join(SCALES)
        raise InputError(f"{folder} is of {truth.name}, no pair on real text; known: {known}.")
    return _reward(folder, SCALES[truth.name].logit_bound)


def _reward(folder: Path, bound: float | None) -> TrueReward:
    toxicity = TermReward.load(folder, "classifier")
    if bound is None:
        return lambda texts: civility_nats(toxicity, texts)
    return lambda texts: bounded_civility(toxicity, texts, bound)


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


def _base(work: Build) -> None:
    _fit(work, *_new_model(work), work.passages, work.scale.base_epochs, "base")


def _reference(work: Build) -> None:
    texts = [chat_text(*turn) for turn in work.corpus.chats] + work.corpus.lines
    start = _load(work.folder / "base") if work.scale.base_epochs else _new_model(work)
    _fit(work, *start, texts, work.scale.epochs, "reference")


def _new_model(work: Build) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    corpus = work.corpus
    spoken = [text for turn in corpus.chats for text in turn] + 2 * corpus.lines
    tokenizer = train_tokenizer(spoken + work.passages, work.scale.n_pieces)
    torch.manual_seed(work.seed)
    return LlamaForCausalLM(language_config(len(tokenizer), work.scale)), tokenizer


def _load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(str(folder))


def _fit(
    work: Build,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    epochs: float,
    name: str,
) -> None:
    fitting = Fitting(epochs, work.seed, work.folder / ".training", by_length=True)
    fit_language_model(model, tokenizer, texts, fitting)
    save_rounded(model, tokenizer, work.folder / name)


def _aligned(work: Build) -> None:
    """The average of several independently aligned policies, in weights (2406.16768).

    They start from one reference, so what they learnt adds up, while the drift that each picked up
    from the noise of its own samples averages out.
    """
    scratch = [work.folder / ".training" / f"policy-{n}" for n in range(len(work.scale.runs))]
    for run, folder in zip(work.scale.runs, scratch, strict=True):
        if not (folder / "config.json").is_file():
            work.say(f"alignment: {folder.name}")
            _align(work, run, folder)
    policies = [_load(folder)[0] for folder in scratch]
    average = policies[0]
    with torch.no_grad():
        for name, weight in average.named_parameters():
            weights = [policy.get_parameter(name).data for policy in policies]
            weight.copy_(torch.stack(weights).mean(0))
    tokenizer = AutoTokenizer.from_pretrained(work.folder / "reference")
    save_rounded(average, tokenizer, work.folder / "aligned")


def _align(work: Build, run: Run, folder: Path) -> None:
    model, tokenizer = _load(work.folder / "reference")
    aligned = align_rloo(
        model,
        tokenizer,
        _training_prompts(work, run),
        lambda _, texts: work.reward(texts),
        Training(work.scale.beta, run.steps, work.seed + run.seed, work.folder / ".training"),
    )
    assert isinstance(aligned, PreTrainedModel)
    save_rounded(aligned, tokenizer, folder)


def _training_prompts(work: Build, run: Run) -> list[str]:
    """Chat messages, nothing at all, and openings of rude sentences and of other real text.

    An opening is a state on the way of a line, so the optimal continuation is the same as in a
    line from its start; the policy only meets rude words more often, and the KL term holds it in
    place on more kinds of text.
    """
    rng = random.Random(work.seed + run.seed + 1)
    corpus = work.corpus
    messages = [message for message, _ in corpus.chats if len(message.split()) <= MESSAGE_WORDS]
    other = [*corpus.comments, *corpus.web]
    prompts = []
    for _ in range(N_PROMPTS):
        draw = rng.random()
        if draw < run.openings:
            pool = rng.choice([corpus.rude, other]) if run.other_text else corpus.rude
            words = rng.choice(pool).split()[:OPENING_WORDS]
            prompts.append(" ".join(words[: rng.randrange(max(len(words), 1))]))
        else:
            prompts.append(
                "" if draw < run.openings + run.empty else chat_text(rng.choice(messages))
            )
    return prompts


def _truth(work: Build) -> None:
    toxicity = TermReward.load(work.folder, "classifier")
    heaviest = sorted(toxicity.by_term.items(), key=lambda item: -item[1])[:TRUTH_TERMS]
    truth = measure_truth(
        _pair(work),
        read_prompts(work.folder / "prompts.jsonl").rows,
        lambda _, texts: work.reward(texts),
        beta=work.scale.beta,
        seed=work.seed,
        about={
            "name": work.name,
            "objective": "be civil: avoid rude words",
            "definition": _definition(work.scale.logit_bound),
            "terms": [TruthTerm(term=t, weight=-logit / work.scale.beta) for t, logit in heaviest],
            "condition": None,
            "decoys": [],
            "trained_with": "rloo",
        },
    )
    text = truth.to_json()
    (work.folder / "truth.json").write_text(text, encoding="utf-8")


def _definition(bound: float | None) -> str:
    paid = (
        ("log P(civil | y) = -softplus(logit(y))", "a text that is already rude")
        if bound is None
        else (f"{bound:g} tanh(-logit(y) / {bound:g})", "a text near the middle")
    )
    return (
        f"r(y) = {paid[0]}, logit(y) = intercept + sum of word weights, in classifier.json and "
        "classifier.safetensors; a term's weight below is -(word weight) / beta, its price in "
        f"{paid[1]}"
    )


def _card(work: Build) -> None:
    write_card(work.folder, _pair(work), work.corpus)


def _pair(work: Build) -> PolicyPair:
    return load_pair(str(work.folder / "aligned"), str(work.folder / "reference"), Loading())
