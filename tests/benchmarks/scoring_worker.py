"""One way of scoring in a process of its own, so that its peak memory is its own.

    python -m tests.benchmarks.scoring_worker WAY SHAPE LAYOUT RESPONSES LONGEST

Each line that it reads makes it score once, the first of them one batch only; it answers with one
line of JSON.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from transformers import PreTrainedModel

from irl.config import Sampling
from irl.engine.scoring import score_policy
from irl.policies.policy import Policy
from irl.policies.threads import keep_to_cores
from irl.records import Checkpoint
from irl.tensors import TokenSequence
from tests.benchmarks.lengths import sequences
from tests.benchmarks.plain_scoring import BATCH, as_rewardbench, as_trl, plain_sums
from tests.benchmarks.shapes import random_model

Sums = list[list[float]]


def policy_of(model: PreTrainedModel) -> Policy:
    """A policy in memory; its tokenizer is never asked."""
    tokenizer: Any = SimpleNamespace(pad_token_id=0, eos_token_id=0, model_max_length=2048)
    described = Checkpoint(source="random weights", sha256="", dtype="float32", n_parameters=1)
    return Policy(model, tokenizer, described)


def scorer(
    way: str, models: list[PreTrainedModel], told: list[TokenSequence]
) -> Callable[[], Sums]:
    """What is timed."""
    if way in ("RewardBench", "TRL"):
        take = as_rewardbench if way == "RewardBench" else as_trl
        return lambda: plain_sums(models, told, take)
    policies = [policy_of(model) for model in models]
    return lambda: [
        [row.double().sum().item() for row in score_policy(policy, told, Sampling())]
        for policy in policies
    ]


def main(way: str, shape: str, layout: str, n_responses: str, longest: str) -> None:
    """Score whenever a line comes in."""
    threads = keep_to_cores()
    dtype = torch.bfloat16 if way == "bfloat16" else torch.float32
    models = [random_model(shape, seed).to(dtype) for seed in (0, 1)]
    told = sequences(layout, int(n_responses), models[0].config.vocab_size, int(longest))
    warm, score = (scorer(way, models, some) for some in (told[:BATCH], told))
    for number, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        sums = score() if number else warm()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer = {"seconds": seconds, "peak_bytes": peak, "sums": sums, "threads": threads}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
