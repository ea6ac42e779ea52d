"""Reward models that plain transformers load: AutoModelForSequenceClassification, one label.

Members can be such a directory where they are whole models, or linear on the last hidden state of a
policy: then a member is its base with another score. The aggregate can where it is itself linear on
that state, which the mean of linear members is:

    mean_m (w_m . h - mean_m) / sd_m  =  (mean_m w_m / sd_m) . h - constant

Minimum, variance, quantile and hidden layers are not linear there, and whole models share no state:
no directory that plain transformers loads can hold those aggregates; the other exports do.

The score of such a model has no bias; the constant, which no preference determines, is written into
ensemble.json beside the units of the members.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from irl.config import Loading
from irl.errors import InputError
from irl.policies.reward_model import Scorer, load_scorer
from irl.rewards.embeddings import Embeddings
from irl.rewards.ensemble import Ensemble
from irl.rewards.heads import Layers
from irl.rewards.transformer import Transformer

MEMBER, AGGREGATE = "member", "aggregate"


_READ_AS = (
    "chats: rendered by the tokenizer's chat template as a whole, answer included; plain text: "
    "prompt and answer in one string with the tokenizer's BOS, closed by EOS; the logit stands at "
    "the last token"
)
NO_AGGREGATE = (
    "The aggregate ({}) of these members is no single model that transformers loads, so only the "
    "members are such directories; ensemble.json says how their logits become one, and the other "
    "exports do it."
)


def export_directories(ensemble: Ensemble, folder: Path) -> tuple[list[Path], str | None]:
    """Write member-0/, member-1/ ..., aggregate/ where it can be one, and ensemble.json.

    Returns:
        What was written, and why the aggregate is missing if it is.

    Raises:
        InputError: the members are no such models.
        PolicyError: the base that they read by is not there any more.
    """
    head = ensemble.reward.head
    if isinstance(head, Transformer):
        written = _whole(head, folder)
        constants: list[float] = [0.0] * len(written)
        aggregate = None
    else:
        scorer, weights, offsets = _linear(ensemble)
        written = []
        for member, weight in enumerate(weights):
            written.append(_saved(scorer, weight, folder / f"{MEMBER}-{member}"))
        constants, aggregate = offsets.tolist(), None
        if ensemble.aggregation.kind == "mean" or len(weights) == 1:
            joint = (weights / ensemble.scale[:, None]).mean(0)
            aggregate = float(((offsets - ensemble.centre) / ensemble.scale).mean())
            written.append(_saved(scorer, joint, folder / AGGREGATE))
    document = {
        "members": len(constants),
        "member_constants": constants,
        "centre": ensemble.centre.tolist(),
        "scale": ensemble.scale.tolist(),
        "aggregation": asdict(ensemble.aggregation),
        "aggregate_constant": aggregate,
        "read_as": _READ_AS,
        "reading": "standardised member = (logit + member_constant - centre) / scale; "
        "aggregate = aggregation of these, or logit of aggregate/ + aggregate_constant",
    }
    text = json.dumps(document, indent=1)
    (folder / "ensemble.json").write_text(text + "\n", encoding="utf-8")
    return written, None if aggregate is not None else NO_AGGREGATE.format(ensemble.aggregation)


def _whole(head: Transformer, folder: Path) -> list[Path]:
    document = head.save(folder, MEMBER)
    return [folder / f"{MEMBER}-{member}" for member in range(document["members"])]


def _linear(
    ensemble: Ensemble,
) -> tuple[Scorer, Float[Tensor, "member feature"], Float[Tensor, " member"]]:
    """The base, each member's weights of its plain last states, and each member's constant."""
    reader, head = ensemble.reward.features, ensemble.reward.head
    linear = isinstance(head, Layers) and len(head.weights) == 1
    if not (linear and isinstance(reader, Embeddings) and reader.encoder.pooling == "last"):
        raise InputError(
            "Only whole models, and linear members on the last hidden state of a policy (--form "
            "linear --features embeddings --set pooling=last), can be exported as directories that "
            "transformers loads; the other exports take every ensemble."
        )
    assert isinstance(head, Layers)
    assert reader.centre is not None
    assert reader.scale is not None
    weights = head.weights[0].detach().squeeze(-1) / reader.scale
    base = load_scorer(str(reader.encoder.folder), Loading(dtype=reader.encoder.dtype))
    return base, weights, -(weights @ reader.centre)


@torch.no_grad()
def _saved(scorer: Scorer, weight: Float[Tensor, " feature"], folder: Path) -> Path:
    (score,) = scorer.score.parameters()
    score.copy_(weight[None])
    scorer.save(folder)
    return folder
