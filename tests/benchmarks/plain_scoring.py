"""The usual way to score two policies, pinned: what `irl.engine.scoring` is held against.

Batches of 16 in the order of the file, padded on the right, every position projected on the whole
vocabulary, the prompt read again for each response, two models one after the other.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from irl.tensors import TokenBatch, TokenSequence, right_padded

BATCH = 16
TokenLogProbs = Callable[[Tensor, Tensor], Tensor]


def as_rewardbench(logits: Tensor, labels: Tensor) -> Tensor:
    """The whole log-softmax in float32, then one entry of each row (DPOInference, and TRL 0.7)."""
    logits = logits.to(torch.float32)[:, :-1]
    return logits.log_softmax(-1).gather(2, labels[..., None]).squeeze(2)


def as_trl(logits: Tensor, labels: Tensor) -> Tensor:
    """TRL's own code of today: a log-sum-exp for each row of the batch."""
    from trl.trainer.utils import selective_log_softmax

    return selective_log_softmax(logits[:, :-1], labels)


@torch.inference_mode()
def plain_sums(
    models: Sequence[PreTrainedModel], sequences: Sequence[TokenSequence], take: TokenLogProbs
) -> list[list[float]]:
    """Nats of each response under each model."""
    return [
        [
            nats
            for start in range(0, len(sequences), BATCH)
            for nats in _batch(model, right_padded(sequences[start : start + BATCH], 0), take)
        ]
        for model in models
    ]


def _batch(model: PreTrainedModel, batch: TokenBatch, take: TokenLogProbs) -> list[float]:
    logits = model(input_ids=batch.ids, attention_mask=batch.attention.long()).logits
    nats = take(logits, batch.ids[:, 1:])
    wanted = batch.predicts_response[:, :-1]
    sums: list[float] = nats.where(wanted, 0.0).double().sum(-1).tolist()
    return sums
