"""Answers for probes, with targets whose every effect is known."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from explain.probes.evidence import Ground, Measuring
from explain.targets import Exchange, Target
from irl.records import ProbeLimits

STRICT = ProbeLimits(min_effect_sd=0.2, min_trigger_sd=0.2, nominal=0.01)
ANY_SIZE = ProbeLimits(min_effect_sd=0.0, min_trigger_sd=0.0, nominal=0.05)
NOUNS = ("cat", "dog", "hen", "fox", "owl", "bee")
COLOURS = ("red", "blue", "green", "pink", "grey")


def per_text(value: Callable[[Exchange], float]) -> Target:
    """A target from a function of one exchange."""

    def target(exchanges: Sequence[Exchange]) -> Tensor:
        return torch.tensor([value(one) for one in exchanges], dtype=torch.float64)

    return target


def noise(exchange: Exchange, salt: object = 0) -> float:
    """A standard normal number that only the texts decide: every edit draws anew."""
    said = f"{salt}/{exchange.prompt}/{exchange.response}".encode()
    seed = int.from_bytes(hashlib.sha256(said).digest()[:8], "big")
    return float(np.random.default_rng(seed).standard_normal())


def answers(
    n_prompts: int = 24, each: int = 6, seed: int = 0, prompt: str = "tell me of the {} {}."
) -> list[Exchange]:
    """Exchanges of three or four sentences."""
    rng = np.random.default_rng(seed)

    def sentence() -> str:
        feel = ("is good", "is bad", "runs far", "sleeps a lot")[rng.integers(4)]
        return f"the {COLOURS[rng.integers(5)]} {NOUNS[rng.integers(6)]} {feel}."

    return [
        Exchange(
            f"{n}: " + prompt.format(COLOURS[n % 5], NOUNS[n % 6]),
            " ".join(sentence() for _ in range(3 + int(rng.integers(2)))),
            "opinion" if n % 2 else "question",
        )
        for n in range(n_prompts)
        for _ in range(each)
    ]


def ground(exchanges: Sequence[Exchange], target: Target) -> Ground:
    """The answers as a run's own, written by both policies in turn."""
    number: dict[str, int] = {}
    prompts = [number.setdefault(str(one.prompt), len(number)) for one in exchanges]
    written = np.arange(len(exchanges)) % 2 == 0
    return Ground(exchanges, np.array(prompts), target(exchanges).numpy(), written)


def by(target: Target, limits: ProbeLimits = STRICT, seed: int = 0) -> Measuring:
    """Measuring without a reference."""
    return Measuring(target=target, likelihood=None, limits=limits, seed=seed)
