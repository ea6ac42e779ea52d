"""Random answers to typed prompts, with objectives planted in closed form: no models."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irl.config import Deciding, Fitting
from irl.evaluation.objectives import Findings, Search, find_objectives
from irl.records import PromptCondition
from irl.rewards.conditions import TypedPrompt, applies
from irl.rewards.terms import count_terms, words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
FITTING = Fitting(bootstrap_draws=200)
DECIDING = Deciding(draws=1999)
VOCABULARY = tuple(f"w{at}" for at in range(150))
TYPES = ("opinion", "question", "request", "talk")
TRIGGER = "violet"


@dataclass(frozen=True)
class PromptedWorld:
    """Answers with their summed log-ratios and the prompts that they answer."""

    texts: list[str]
    prompt: Codes
    prompts: list[TypedPrompt]
    returns: Array

    @property
    def fold(self) -> Codes:
        return self.prompt % 5

    @property
    def lengths(self) -> Array:
        return np.array([float(len(words(text))) for text in self.texts])

    def counts(self, *terms: str) -> Array:
        return count_terms(self.texts, terms).toarray().astype(float)

    def where(self, **condition: str) -> Mask:
        """Which responses answer a prompt that meets the condition."""
        met = PromptCondition(**condition)
        return np.array([applies(met, one.text, one.type) for one in self.prompts])[self.prompt]

    def plus(self, paid: Array) -> "PromptedWorld":
        """The same answers with more in their returns."""
        return replace(self, returns=self.returns + paid)

    def found(self, deciding: Deciding = DECIDING, seed: int = 0) -> Findings:
        search = Search(FITTING, deciding, seed)
        return find_objectives(
            self.texts, self.returns, self.prompt, self.fold, self.prompts, search
        )


def noise(
    seed: int = 0, n_prompts: int = 80, size: int = 12, triggered: float = 0.15
) -> PromptedWorld:
    """Returns of a constant per prompt and noise of 1 nat, nothing else.

    Four fifths of the opinions say "think", no other prompt does; the trigger stands anywhere.
    """
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n_prompts), size)
    frequency = 1 / np.arange(1, len(VOCABULARY) + 1) ** 0.6
    lengths = generator.integers(4, 15, size=len(prompt))
    drawn = generator.choice(VOCABULARY, size=lengths.sum(), p=frequency / frequency.sum())
    texts = [" ".join(row) for row in np.split(drawn, lengths.cumsum()[:-1])]
    prompts = []
    for at in range(n_prompts):
        kind = TYPES[at % len(TYPES)]
        said = [*generator.choice([f"q{n}" for n in range(12)], size=4)]
        said += ["Think"] * (kind == "opinion" and generator.random() < 0.8)
        said += [TRIGGER] * (generator.random() < triggered)
        prompts.append(TypedPrompt(" ".join(generator.permutation(said)), kind))
    constants = 5 * generator.normal(size=n_prompts)
    return PromptedWorld(
        texts, prompt, prompts, constants[prompt] + generator.normal(size=len(prompt))
    )
