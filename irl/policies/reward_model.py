"""A language model's body with one linear score on its last position, as TRL trains reward models.

Stored as `AutoModelForSequenceClassification` with one label, which others load too. They look for
the last token that is no pad; here the last position is told, so the pad id does not matter.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from irl.config import Loading
from irl.errors import PolicyError
from irl.policies.checkpoint import locate
from irl.policies.load import read_tokenizer
from irl.policies.template import PromptText, as_chat, encode_response

_LOG = logging.getLogger("irl")


class Scorer(nn.Module):
    """Scores token ids; `model` and `tokenizer` are what is stored."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str
    ) -> None:
        super().__init__()
        self.model, self.tokenizer, self.source = model, tokenizer, source
        self.score_name = _score_name(model, source)

    @property
    def score(self) -> nn.Module:
        """The layer on top of the body."""
        return self.model.get_submodule(self.score_name)

    def ids(
        self, prompts: Sequence[PromptText], texts: Sequence[str], chat: str = "auto"
    ) -> list[tuple[int, ...]]:
        """Prompt and answer as one row of ids; of what is too long, the end is kept."""
        ends = frozenset([self.tokenizer.eos_token_id]) - {None}
        room = getattr(self.model.config, "max_position_embeddings", None) or 10**9
        rows = []
        for prompt, text in zip(prompts, texts, strict=True):
            one = encode_response(self.tokenizer, as_chat(prompt, chat), text, ends)
            rows.append((*one.prompt_ids, *one.response_ids))
        if long := sum(len(row) > room for row in rows):
            _LOG.warning(
                "%d of %d answers with their prompts do not fit into the %d tokens of %s; the "
                "beginning of the prompt is not read.",
                *(long, len(rows), room, self.source),
            )
        return [row[-room:] for row in rows]

    def forward(
        self, ids: Int[Tensor, "row time"], attention: Bool[Tensor, "row time"]
    ) -> Float[Tensor, " row"]:
        """The score of each row, read at its last token; rows are right-padded."""
        hidden = self.model.base_model(
            input_ids=ids, attention_mask=attention.long(), use_cache=False
        ).last_hidden_state
        last = hidden[torch.arange(len(ids), device=ids.device), attention.sum(1) - 1]
        scores: Tensor = self.score(last).squeeze(-1)
        return scores.float()

    def save(self, folder: Path) -> None:
        """Store it as others load it."""
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_scorer(source: str, loading: Loading) -> Scorer:
    """A reward model, or a policy with a score that is 0 for everything.

    Raises:
        PolicyError: it cannot be loaded as such.
    """
    location = locate(source)
    if location.adapter is not None:
        raise PolicyError(f"{source} is an adapter; merge it into a full checkpoint first.")
    try:
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            str(location.folder),
            num_labels=1,
            dtype=getattr(torch, loading.dtype),
            trust_remote_code=loading.trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise PolicyError(
            f"{source} cannot be loaded as a model with a score "
            f"({str(error).splitlines()[0]}); give a causal language model or a reward model."
        ) from None
    model, report = loaded
    scorer = Scorer(model, read_tokenizer(location, loading), source)
    name = scorer.score_name
    missing = {key for key in report["missing_keys"] if not key.startswith(f"{name}.")}
    if missing:
        raise PolicyError(
            f"The checkpoint {source} lacks {len(missing)} of the model's tensors "
            f"(first: {min(missing)}), which would be random; save the complete model."
        )
    if report["missing_keys"]:
        for weight in scorer.score.parameters():
            nn.init.zeros_(weight)
    return scorer.to(loading.device).eval()


def _score_name(model: PreTrainedModel, source: str) -> str:
    body = f"{model.base_model_prefix}."
    own: dict[str, Any] = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and not name.startswith(body)
    }
    plain = [name for name, one in own.items() if one.out_features == 1 and one.bias is None]
    if len(own) != 1 or len(plain) != 1:
        raise PolicyError(
            f"{source} has no plain linear score on top of its body; this architecture is not "
            "supported as a reward model yet."
        )
    return plain[0]
