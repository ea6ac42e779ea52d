"""Answers as vectors: mean hidden states of a policy, or a sentence encoder's embeddings.

A policy reads the answer after its prompt, and the hidden states of the answer's own tokens are
averaged (last layer, completion only, 2510.06096). A sentence encoder reads the answer alone, in
whatever way its directory says (pooling, normalisation).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoConfig

from irl.config import Dtype, Loading
from irl.errors import PolicyError
from irl.policies.checkpoint import Location, files_sha256, locate
from irl.policies.load import load_full
from irl.policies.policy import Policy
from irl.policies.template import PromptText, as_chat, encode_response
from irl.tensors import TokenSequence, right_padded

Embedded = Float[Tensor, "text feature"]
Kind = Literal["policy", "sentence-encoder"]
_LOG = logging.getLogger("irl")
_BATCH_TOKENS = 16384
"Padded tokens of one forward pass"


@dataclass(frozen=True, eq=False)
class Encoder:
    """Something that turns answers into vectors."""

    source: str
    sha256: str
    kind: Kind
    chat: str
    "how a policy reads prompts that are plain strings"
    dtype: Dtype
    encode: Callable[[Sequence[PromptText], Sequence[str]], Embedded]

    @property
    def reads_prompts(self) -> bool:
        """Whether the same answer to another prompt is another vector."""
        return self.kind == "policy"


def load_encoder(source: str, loading: Loading, chat: str = "auto") -> Encoder:
    """A policy's directory or a sentence encoder's, by what it holds.

    Raises:
        PolicyError: there is no such directory or id, or it can be loaded as neither.
    """
    location = locate(source)
    if (location.folder / "modules.json").is_file() or not _is_policy(location):
        return of_sentences(location, loading)
    return of_policy(load_full(location, loading), chat)


def of_policy(policy: Policy, chat: str = "auto") -> Encoder:
    """Mean hidden states of the answer's tokens."""

    def encode(prompts: Sequence[PromptText], texts: Sequence[str]) -> Embedded:
        pairs = zip(prompts, texts, strict=True)
        sequences = [
            encode_response(policy.tokenizer, as_chat(prompt, chat), text, policy.eos_ids)
            for prompt, text in pairs
        ]
        return mean_hidden_states(policy, sequences)

    known = policy.checkpoint
    dtype: Any = known.dtype
    return Encoder(known.source, known.sha256, "policy", chat, dtype, encode)


@torch.inference_mode()
def mean_hidden_states(policy: Policy, sequences: Sequence[TokenSequence]) -> Embedded:
    """The mean over the response tokens of the last hidden states; 0 for an empty response."""
    room = policy.context_tokens
    long = sum(len(sequence) > room for sequence in sequences)
    if long:
        _LOG.warning(
            "%d of %d answers do not fit into the %d tokens of %s; what is beyond is not read.",
            *(long, len(sequences), room, policy.checkpoint.source),
        )
    fitting = [_cut(sequence, room) for sequence in sequences]
    order = sorted(range(len(fitting)), key=lambda at: -len(fitting[at]))
    pooled: list[Tensor] = [torch.empty(0)] * len(fitting)
    while order:
        n = max(_BATCH_TOKENS // len(fitting[order[0]]), 1)
        here, order = order[:n], order[n:]
        batch = right_padded([fitting[at] for at in here], policy.pad_id)
        starts = torch.tensor([len(fitting[at].prompt_ids) for at in here])
        own = batch.attention & (torch.arange(batch.ids.shape[1]) >= starts[:, None])
        with policy.active():
            hidden = policy.body(
                input_ids=batch.ids.to(policy.device),
                attention_mask=batch.attention.long().to(policy.device),
                use_cache=False,
            ).last_hidden_state.float()
        weights = own.to(hidden)[..., None]
        means = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        for at, mean in zip(here, means.cpu(), strict=True):
            pooled[at] = mean
    return torch.stack(pooled)


def of_sentences(location: Location, loading: Loading) -> Encoder:
    """A sentence encoder as its directory describes it.

    Raises:
        PolicyError: it cannot be loaded.
    """
    # Loaded here alone: the library takes seconds to import, and few runs need it.
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(location.folder),
            device=loading.device,
            trust_remote_code=loading.trust_remote_code,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, loading.dtype)},
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise PolicyError(
            f"{location.source} can be loaded neither as a policy nor as a sentence encoder "
            f"({str(error).splitlines()[0]})."
        ) from None

    def encode(_: Sequence[PromptText], texts: Sequence[str]) -> Embedded:
        vectors: Tensor = model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
        return vectors.float().cpu().clone()

    folders = [location.folder, *sorted(p for p in location.folder.iterdir() if p.is_dir())]
    sha256 = files_sha256(*folders)
    return Encoder(location.source, sha256, "sentence-encoder", "never", loading.dtype, encode)


def _is_policy(location: Location) -> bool:
    try:
        config = AutoConfig.from_pretrained(str(location.folder))
    except (OSError, ValueError, KeyError):
        return False
    names = getattr(config, "architectures", None) or []
    return any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names)


def _cut(sequence: TokenSequence, room: int) -> TokenSequence:
    if len(sequence) <= room:
        return sequence
    prompt = sequence.prompt_ids[:room]
    return TokenSequence(prompt, sequence.response_ids[: room - len(prompt)])
