"""Answers as vectors: hidden states of a policy, or a sentence encoder's embeddings.

A policy reads the answer after its prompt, and the hidden states of the answer's own tokens are
averaged (last layer, completion only, 2510.06096), or that of the last token of the rendered chat
is taken, where reward models have their score; plain text is closed by EOS, as everywhere. A
sentence encoder reads the answer alone, in whatever way its directory says (pooling,
normalisation).
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from irl.config import Dtype, Loading
from irl.errors import PolicyError, first_line
from irl.policies.checkpoint import Location, files_sha256, locate
from irl.policies.load import load_full, refuse_non_finite
from irl.policies.policy import Policy
from irl.policies.template import PromptText, encode_answers, has_template
from irl.tensors import TokenSequence, by_length, right_padded

Embedded = Float[Tensor, "text feature"]
Kind = Literal["policy", "sentence-encoder"]
Pooling = Literal["mean", "last"]
_LOG = logging.getLogger("irl")
_BATCH_TOKENS = 16384
"Padded tokens of one forward pass"


@dataclass(frozen=True, eq=False)
class Encoder:
    """Something that turns answers into vectors."""

    source: str
    "as the user named it"
    folder: Path
    "where it lies"
    sha256: str
    kind: Kind
    chat: str
    "how a policy reads prompts that are plain strings"
    dtype: Dtype
    encode: Callable[[Sequence[PromptText], Sequence[str]], Embedded]
    pooling: Pooling = "mean"
    "of a policy's hidden states over the answer"
    renders_chats: bool = False
    "whether it has a chat template"

    @property
    def reads_prompts(self) -> bool:
        """Whether the same answer to another prompt is another vector."""
        return self.kind == "policy"


def load_encoder(
    source: str, loading: Loading, chat: str = "auto", pooling: Pooling = "mean"
) -> Encoder:
    """A sentence encoder's directory, if it has a modules.json, or a policy's.

    Raises:
        PolicyError: there is no such directory or id, or it cannot be loaded or pooled so.
    """
    location = locate(source)
    if (location.folder / "modules.json").is_file():
        if pooling != "mean":
            raise PolicyError(f"{source} is a sentence encoder, which pools in its own way.")
        return of_sentences(location, loading)
    if location.adapter is not None:
        raise PolicyError(
            f"{source} is an adapter; merge it into a full checkpoint to embed answers by it."
        )
    return of_policy(load_full(location, loading), chat, pooling)


def of_policy(
    policy: Policy,
    chat: str = "auto",
    pooling: Pooling = "mean",
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Encoder:
    """Hidden states of the answer's tokens.

    Args:
        policy: whose.
        chat: how prompts are read.
        pooling: over the answer.
        tokenizer: another one's, for its chat template; None takes the policy's.
    """
    reads = tokenizer or policy.tokenizer

    def encode(prompts: Sequence[PromptText], texts: Sequence[str]) -> Embedded:
        whole = pooling == "last"
        given = encode_answers(reads, prompts, texts, policy.eos_ids, chat, whole_chat=whole)
        return hidden_states(policy, given, pooling)

    known = policy.checkpoint
    dtype: Any = known.dtype
    folder = policy.folder or Path(known.source)
    source, sha256, where = known.source, known.sha256, folder.resolve()
    chats = has_template(reads)
    return Encoder(source, where, sha256, "policy", chat, dtype, encode, pooling, chats)


@torch.inference_mode()
def hidden_states(
    policy: Policy, sequences: Sequence[TokenSequence], pooling: Pooling = "mean"
) -> Embedded:
    """The last layer's states, their mean over the response tokens or the last of them.

    An empty response has a mean of 0.
    """
    room = policy.context_tokens
    if long := sum(len(sequence) > room for sequence in sequences):
        _LOG.warning(
            "%d of %d answers with their prompts do not fit into the %d tokens of %s; the "
            "beginning of the prompt is not read.",
            *(long, len(sequences), room, policy.checkpoint.source),
        )
    fitting = [_cut(sequence, room) for sequence in sequences]
    pooled: list[Tensor] = [torch.empty(0)] * len(fitting)
    for here in by_length([len(sequence) for sequence in fitting], _BATCH_TOKENS):
        means = _pooled(policy, [fitting[at] for at in here], pooling)
        for at, mean in zip(here, means, strict=True):
            pooled[at] = mean
    return torch.stack(pooled)


def of_sentences(location: Location, loading: Loading) -> Encoder:
    """A sentence encoder as its directory describes it.

    Raises:
        PolicyError: it cannot be loaded, lacks weights or holds some that are not finite.
    """
    # Loaded here alone: the library takes seconds to import, and few runs need it.
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(location.folder),
            device=loading.device,
            trust_remote_code=loading.trust_remote_code,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, loading.dtype), "use_safetensors": True},
        )
        pads = getattr(model.tokenizer, "pad_token_id", 0) is not None
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise PolicyError(
            f"{location.source} cannot be loaded as a sentence encoder ({first_line(error)})."
        ) from None
    if not pads:
        raise PolicyError(f"The tokenizer of the sentence encoder {location.source} has no pad.")
    _refuse_random(model, location)
    refuse_non_finite(model, location.source)

    def encode(_: Sequence[PromptText], texts: Sequence[str]) -> Embedded:
        _warn_of_long(model, texts, location.source)
        vectors: Tensor = model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
        return vectors.float().cpu().clone()

    folder, sha256 = location.folder.resolve(), files_sha256(*_folders(location.folder))
    kind: Kind = "sentence-encoder"
    return Encoder(location.source, folder, sha256, kind, "never", loading.dtype, encode)


def _pooled(policy: Policy, sequences: Sequence[TokenSequence], pooling: Pooling) -> Embedded:
    batch = right_padded(sequences, policy.pad_id)
    starts = torch.tensor([len(sequence.prompt_ids) for sequence in sequences])
    own = batch.attention & (torch.arange(batch.ids.shape[1]) >= starts[:, None])
    with policy.active():
        hidden = policy.body(
            input_ids=batch.ids.to(policy.device),
            attention_mask=batch.attention.long().to(policy.device),
            use_cache=False,
        ).last_hidden_state.float()
    if pooling == "last":
        ends = batch.attention.sum(1).to(hidden.device) - 1
        states: Tensor = hidden[torch.arange(len(ends), device=hidden.device), ends]
        return states.cpu()
    weights = own.to(hidden)[..., None]
    means: Tensor = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
    return means.cpu()


def _cut(sequence: TokenSequence, room: int) -> TokenSequence:
    if len(sequence) <= room:
        return sequence
    response = sequence.response_ids[: room - 1]
    return TokenSequence(sequence.prompt_ids[len(response) - room :], response)


def _folders(folder: Path) -> list[Path]:
    return [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]


def _refuse_random(model: torch.nn.Module, location: Location) -> None:
    """The library draws weights that are not there at random, and says so in its log alone."""
    stored: set[str] = set()
    for folder in _folders(location.folder):
        for file in folder.glob("*.safetensors"):
            with safe_open(file, framework="pt") as tensors:
                stored |= set(tensors.keys())
    for name, _ in model.named_parameters():
        bare = re.sub(r"^\d+\.(model\.|auto_model\.)?", "", name)
        if "pooler" not in bare and not any(one.endswith(bare) for one in stored):
            raise PolicyError(
                f"The sentence encoder {location.source} lacks some of its tensors (first: {bare}),"
                " which would be random; save the complete model."
            )


def _warn_of_long(model: Any, texts: Sequence[str], source: str) -> None:
    room = model.max_seq_length
    if room is None:
        return
    lengths = [len(ids) for ids in model.tokenizer(list(texts))["input_ids"]]
    if long := sum(length > room for length in lengths):
        _LOG.warning(
            "%d of %d answers are longer than the %d tokens that %s reads; only their beginning "
            "counts.",
            *(long, len(texts), room, source),
        )
