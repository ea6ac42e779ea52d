"""A language model's body with one linear score on its last position, as TRL trains reward models.

Stored as `AutoModelForSequenceClassification` with one label, which others load too. They look for
the last token that is no pad; here the last position is told, so the pad id does not matter.
"""

import copy
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
from irl.errors import PolicyError, first_line
from irl.policies.checkpoint import files_sha256, locate
from irl.policies.load import read_tokenizer, refuse_missing, refuse_non_finite
from irl.policies.template import PromptText, encode_answers
from irl.tensors import TokenSequence

_LOG = logging.getLogger("irl")


class Scorer(nn.Module):
    """Scores token ids; `model` and `tokenizer` are what is stored."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str, sha256: str
    ) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.source, self.sha256 = source, sha256
        self.score_name = _score_name(model, source)

    @property
    def score(self) -> nn.Module:
        """The layer on top of the body."""
        return self.model.get_submodule(self.score_name)

    def sequences(
        self, prompts: Sequence[PromptText], texts: Sequence[str], chat: str = "auto"
    ) -> list[TokenSequence]:
        """Prompts and answers as they are read, however long."""
        ends = frozenset([self.tokenizer.eos_token_id]) - {None}
        return encode_answers(self.tokenizer, prompts, texts, ends, chat, whole_chat=True)

    def ids(
        self, prompts: Sequence[PromptText], texts: Sequence[str], chat: str = "auto"
    ) -> list[tuple[int, ...]]:
        """Prompt and answer as one row of ids; of what is too long, the end is kept."""
        given = self.sequences(prompts, texts, chat)
        rows = [(*one.prompt_ids, *one.response_ids) for one in given]
        room = getattr(self.model.config, "max_position_embeddings", None) or 10**9
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
        """Store it as others load it: with a pad that ends no answer, since they skip pads."""
        tokenizer = with_pad(self.tokenizer)
        self.model.config.pad_token_id = tokenizer.pad_token_id
        self.model.config.problem_type = "regression"  # servers squash a single label otherwise
        self.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def with_pad(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A tokenizer whose pad ends no answer.

    Sequence classifiers are read at the last token that is no pad, and answers end with EOS. Where
    pad is EOS or missing: another special token that no text ends with, else the vocabulary's last
    (rarest) token.
    """
    eos = tokenizer.eos_token_id
    if tokenizer.pad_token_id not in (None, eos):
        return tokenizer
    padded = copy.deepcopy(tokenizer)
    special = tokenizer.bos_token_id, *sorted(tokenizer.all_special_ids, reverse=True)
    plain = range(len(tokenizer) - 1, -1, -1)
    unlike = next(at for at in (*special, *plain) if at is not None and at != eos)
    padded.pad_token = padded.convert_ids_to_tokens(unlike)
    return padded


def load_scorer(source: str, loading: Loading, *, scored: bool = False) -> Scorer:
    """The body of a policy or a reward model, with a score that is 0 for everything.

    Args:
        source: a directory or hub id.
        loading: how.
        scored: keep the score that is stored. Only for what `Scorer.save` wrote: others may read
            theirs at another token.

    Raises:
        PolicyError: it cannot be loaded, lacks weights or holds some that are not finite.
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
            f"({first_line(error)}); give a causal language model or a reward model."
        ) from None
    model, report = loaded
    refuse_non_finite(model, source)
    sha256 = files_sha256(location.folder)
    scorer = Scorer(model, read_tokenizer(location, loading), source, sha256)
    own = () if scored else (f"{scorer.score_name}.",)
    missing = {key for key in report["missing_keys"] if not key.startswith(own)}
    refuse_missing(missing, source)
    if not scored:
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
