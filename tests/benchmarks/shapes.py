"""Published shapes with random weights, and the arithmetic that scoring them takes.

Multiplications and additions of matrix products, for S tokens that the layers read, of which the
t-th sees k_t keys, and H positions that are projected on the vocabulary:

    2 S (weights of layers) + 4 (layers) (heads x head size) sum_t k_t + 2 H (hidden) (vocabulary)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import (
    AutoModelForCausalLM,
    GPTNeoXConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

from irl.tensors import TokenSequence
from tests.benchmarks.plain_scoring import BATCH


def _pythia(hidden: int, layers: int, heads: int, pieces: int = 50304) -> PretrainedConfig:
    return GPTNeoXConfig(
        vocab_size=pieces,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=2048,
    )


def config(shape: str) -> PretrainedConfig:
    """The config of a shape."""
    match shape:
        case "Pythia-70M":
            return _pythia(512, 6, 8)
        case "Pythia-410M":
            return _pythia(1024, 24, 16)
        case "Qwen3-0.6B":
            return Qwen3Config(
                vocab_size=151936,
                hidden_size=1024,
                intermediate_size=3072,
                num_hidden_layers=28,
                num_attention_heads=16,
                num_key_value_heads=8,
                head_dim=128,
                tie_word_embeddings=True,
            )
        case "tiny":
            return _pythia(64, 2, 4, pieces=4000)
    raise ValueError(shape)


def random_model(shape: str, seed: int) -> PreTrainedModel:
    """Random weights, the same for a seed."""
    torch.manual_seed(seed)  # noqa: TID251  transformers fills weights from the global generator
    return AutoModelForCausalLM.from_config(config(shape), dtype=torch.float32).eval()


@dataclass(frozen=True)
class Arithmetic:
    """What one pass over sequences takes, counted as in the equation above."""

    read_tokens: int
    seen_keys: int
    projected: int

    def flops(self, model: PreTrainedModel) -> float:
        """Floating-point operations under one model."""
        known, head = model.config, model.get_output_embeddings()
        layers = sum(
            module.weight.numel()
            for module in model.modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        )
        head_size = getattr(known, "head_dim", None) or (
            known.hidden_size // known.num_attention_heads
        )
        width = known.num_hidden_layers * known.num_attention_heads * head_size
        return (
            2.0 * self.read_tokens * layers
            + 4.0 * width * self.seen_keys
            + 2.0 * self.projected * head.weight.numel()
        )


def plainly(sequences: Sequence[TokenSequence]) -> Arithmetic:
    """What the usual way takes: every position of padded batches; with a mask, all their keys."""
    batches = [sequences[at : at + BATCH] for at in range(0, len(sequences), BATCH)]
    padded = [(len(batch), max(map(len, batch))) for batch in batches]
    tokens = sum(rows * longest for rows, longest in padded)
    return Arithmetic(tokens, sum(rows * longest**2 for rows, longest in padded), tokens)


def at_least(sequences: Sequence[TokenSequence]) -> Arithmetic:
    """What no way can do without: each prompt once, no last token, response positions alone."""
    prompts = {sequence.prompt_ids for sequence in sequences}
    tokens = keys = sum(map(len, prompts))
    keys = sum(len(prompt) * (len(prompt) + 1) // 2 for prompt in prompts)
    for sequence in sequences:
        behind, own = len(sequence.prompt_ids), len(sequence.response_ids) - 1
        tokens += own
        keys += own * behind + own * (own + 1) // 2
    return Arithmetic(tokens, keys, sum(len(sequence.response_ids) for sequence in sequences))
