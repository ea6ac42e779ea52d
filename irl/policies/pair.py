"""Two policies that read text in the same way."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from irl.config import Loading
from irl.errors import PolicyError
from irl.policies.checkpoint import Location, files_sha256, locate, locate_base
from irl.policies.load import load_adapter, load_full
from irl.policies.outline import NOWHERE, outline_adapter, outline_full
from irl.policies.policy import Policy
from irl.policies.served.load import load_served
from irl.policies.served.policy import ServedPolicy
from irl.policies.served_file import names_server
from irl.policies.threads import keep_to_cores

_PROBES = (
    "",
    "Hello there.",
    "  two  spaces\n\nand lines\t",
    "naïve café 12,345 #x",
    "👍 ok",
    "it's `so`, don’t “ﬁx” ½ of CamelCase_names",
)


@dataclass(frozen=True)
class Origin:
    """Where a pair was loaded from, so that other processes can load it too."""

    aligned: str
    reference: str | None
    loading: Loading

    def load(self) -> "PolicyPair":
        """The pair again."""
        return load_pair(self.aligned, self.reference, self.loading)


@dataclass(frozen=True, eq=False)
class PolicyPair:
    """The aligned policy and its reference; both encode every text alike."""

    aligned: Policy
    reference: Policy
    origin: Origin | None = None
    "None for a pair that was put together in memory"

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of both; the chat template is the aligned one, if it has one."""
        aligned = self.aligned.tokenizer
        return aligned if aligned.chat_template else self.reference.tokenizer

    @property
    def context_tokens(self) -> int:
        """The longest sequence that both can read."""
        return min(self.aligned.context_tokens, self.reference.context_tokens)

    @property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a response under either policy."""
        return self.aligned.eos_ids | self.reference.eos_ids

    @property
    def served(self) -> bool:
        """Whether the weights of either lie with a server."""
        return any(isinstance(side, ServedPolicy) for side in (self.aligned, self.reference))

    @property
    def shared(self) -> bool:
        """Whether one model serves as both: an adapter, switched on and off."""
        return not self.served and self.aligned.model is self.reference.model

    def identical(self) -> bool:
        """Whether both hold the same weights, bit by bit; not known where they lie elsewhere."""
        if self.served or self.shared or self.aligned.device == NOWHERE:
            return False
        ours, theirs = self.aligned.model.state_dict(), self.reference.model.state_dict()
        return ours.keys() == theirs.keys() and all(
            torch.equal(ours[name], theirs[name]) for name in ours
        )


@dataclass(frozen=True)
class _How:
    """The two ways to load: with weights, or an outline."""

    full: Callable[[Location, Loading], Policy]
    adapter: Callable[[Location, Policy, Path, Loading], tuple[Policy, Policy]]


_LOADED, _OUTLINED = _How(load_full, load_adapter), _How(outline_full, outline_adapter)


def load_pair(
    aligned: str,
    reference: str | None = None,
    loading: Loading | None = None,
    *,
    weights: bool = True,
) -> PolicyPair:
    """Load an aligned checkpoint and its reference.

    Args:
        aligned: local directory, hub id, PEFT adapter directory, or file about a served policy.
        reference: likewise, but no adapter; None takes the base of an adapter.
        loading: dtype, device and revisions; float32 on the CPU if None.
        weights: without them, the pair reads and ends text, but cannot score it.

    Raises:
        InputError: a file about a served policy cannot be used.
        PolicyError: a side cannot be loaded, or the two tokenise differently.
        ServerError: the server of a side does not answer.
    """
    keep_to_cores()
    loading = loading or Loading()
    pair = _loaded(aligned, reference, loading, _LOADED if weights else _OUTLINED)
    refuse_different_tokenizers(pair)
    return replace(pair, origin=Origin(aligned, reference, loading))


def _loaded(aligned: str, reference: str | None, loading: Loading, how: _How) -> PolicyPair:
    if names_server(aligned):
        if reference is None:
            raise PolicyError(
                f"{aligned} is a served policy, so its reference is not known; give --reference."
            )
        served = load_served(aligned, loading, loading.aligned_revision)
        return PolicyPair(served, _load_reference(reference, loading, how))
    location = locate(aligned, loading.aligned_revision)
    if location.adapter is not None:
        return _adapter_pair(location, reference, loading, how)
    if reference is None:
        raise PolicyError(
            f"{aligned} is a full model, so its reference is not known; give --reference."
        )
    return PolicyPair(how.full(location, loading), _load_reference(reference, loading, how))


def template_sha256(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The hash of the chat template, or None without one."""
    if not tokenizer.chat_template:
        return None
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()


def _load_reference(reference: str, loading: Loading, how: _How) -> Policy:
    if names_server(reference):
        return load_served(reference, loading, loading.reference_revision)
    location = locate(reference, loading.reference_revision)
    if location.adapter is not None:
        raise PolicyError(
            f"The reference {reference} is an adapter; merge it into a full checkpoint first."
        )
    return how.full(location, loading)


def _adapter_pair(
    location: Location, reference: str | None, loading: Loading, how: _How
) -> PolicyPair:
    base_location = locate_base(location, loading.reference_revision if reference is None else None)
    _check_revision(location, base_location, loading)
    base = how.full(base_location, loading)
    aligned, off = how.adapter(location, base, base_location.folder, loading)
    if reference is None or _same_files(reference, base_location.folder, loading):
        return PolicyPair(aligned, off)
    return PolicyPair(aligned, _load_reference(reference, loading, how))


def _check_revision(adapter: Location, base: Location, loading: Loading) -> None:
    asked, trained = loading.reference_revision, base.revision
    if asked is not None and trained is not None and asked != trained:
        raise PolicyError(
            f"The adapter {adapter.source} was trained on revision {trained} of its base, but "
            f"revision {asked} was asked for; drop --set loading.reference_revision."
        )


def _same_files(reference: str, base: Path, loading: Loading) -> bool:
    if names_server(reference):
        return False
    folder = locate(reference, loading.reference_revision).folder
    return folder.resolve() == base.resolve() or files_sha256(folder) == files_sha256(base)


def refuse_different_tokenizers(pair: PolicyPair) -> None:
    """Refuse two policies that read some text differently.

    Raises:
        PolicyError: they do.
    """
    difference = next(_tokenizer_differences(pair.aligned.tokenizer, pair.reference.tokenizer), "")
    if difference:
        raise PolicyError(
            f"{pair.aligned.checkpoint.source} and {pair.reference.checkpoint.source} tokenise "
            f"differently, so their log-probabilities cannot be compared: {difference}."
        )


def _tokenizer_differences(
    aligned: PreTrainedTokenizerBase, reference: PreTrainedTokenizerBase
) -> Iterator[str]:
    ours, theirs = aligned.get_vocab(), reference.get_vocab()
    if len(ours) != len(theirs):
        yield f"the vocabularies hold {len(ours)} and {len(theirs)} tokens"
    moved = sorted(token for token in ours if theirs.get(token) != ours[token])
    if moved:
        yield (
            f"{len(moved)} tokens have other ids (first: {moved[0]!r} is {ours[moved[0]]} and "
            f"{theirs.get(moved[0])})"
        )
    if _segmentation(aligned) != _segmentation(reference):
        yield "the same tokens are put together in another order (merges or scores)"
    for text in _PROBES:
        pieces = aligned(text)["input_ids"], reference(text)["input_ids"]
        if pieces[0] != pieces[1]:
            yield f"the text {text!r} becomes {pieces[0][:8]} and {pieces[1][:8]}"


def _segmentation(tokenizer: PreTrainedTokenizerBase) -> object:
    """What decides between two ways to cut a text: the merges of a BPE, or a unigram's scores."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    model = json.loads(backend.to_str())["model"] if backend else {}
    return model.get("merges") or model.get("vocab")
