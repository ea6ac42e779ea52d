"""Load a checkpoint as a policy, and refuse what could not be scored honestly."""

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from irl.config import Loading
from irl.errors import PolicyError, first_line
from irl.policies.checkpoint import Location, files_sha256
from irl.policies.policy import Policy
from irl.records import Checkpoint

HEAD_TOLERANCE = 1e-3
_PROBE_TOKENS = 8


def load_full(location: Location, loading: Loading) -> Policy:
    """A full model as a policy.

    Raises:
        PolicyError: unreadable or incomplete weights, weights that are not finite, or an
            architecture whose logits are not its head applied to its hidden states.
    """
    model = _read_model(location, loading)
    refuse_non_finite(model, location.source)
    tokenizer = read_tokenizer(location, loading)
    described = describe(location, model, location.folder)
    policy = Policy(model, tokenizer, described, folder=location.folder)
    _refuse_other_head(policy)
    return policy


def load_adapter(
    location: Location, base: Policy, base_folder: Path, loading: Loading
) -> tuple[Policy, Policy]:
    """An adapter over its base: (adapter on, adapter off), sharing the base's weights.

    A tokenizer beside the adapter, as TRL saves it, is the aligned policy's; else the base's is.

    Raises:
        PolicyError: the adapter replaces whole modules, cannot be read, or the base with the
            adapter switched off does not score as it did before.
    """
    from peft import PeftModel  # most pairs are two full models, and peft takes a second to load

    refuse_unsuitable_adapter(location)
    probe = _probe_ids(base)
    before = _probe_logits(base, probe)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
            wrapped = PeftModel.from_pretrained(
                base.model, str(location.folder), is_trainable=False
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise PolicyError(
            f"The adapter {location.source} cannot be put on its base "
            f"{base.checkpoint.source} ({first_line(error)})."
        ) from None
    except UserWarning:
        raise PolicyError(
            f"The adapter {location.source} lacks some of its tensors, which would be random or "
            "zero; save the complete adapter."
        ) from None
    wrapped.eval()
    refuse_non_finite(wrapped, location.source)
    described = describe(location, wrapped, location.folder, base_folder)
    own = (location.folder / "tokenizer_config.json").is_file()
    tokenizer = read_tokenizer(location, loading) if own else base.tokenizer
    aligned = Policy(base.model, tokenizer, described)
    off = wrapped.disable_adapter
    reference = Policy(base.model, base.tokenizer, base.checkpoint, off, base.folder)
    if not torch.equal(before, _probe_logits(reference, probe)):
        raise PolicyError(
            f"With the adapter {location.source} switched off, its base does not score as it does "
            "alone; merge the adapter into a full checkpoint and give the base as --reference."
        )
    return aligned, reference


def _read_model(location: Location, loading: Loading) -> PreTrainedModel:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(location.folder),
            dtype=getattr(torch, loading.dtype),
            trust_remote_code=loading.trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            device_map="auto" if loading.device == "auto" else None,
        )
    except SafetensorError as error:
        raise PolicyError(
            f"The weights of {location.source} cannot be read: a safetensors file is truncated or "
            f"damaged ({first_line(error)}); copy or download the checkpoint again."
        ) from None
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise PolicyError(
            f"{location.source} cannot be loaded as a causal language model ({first_line(error)})."
        ) from None
    model, report = loaded
    refuse_missing(report["missing_keys"], location.source)
    mismatched = sorted(report["mismatched_keys"])
    if mismatched:
        name, stored, wanted = mismatched[0]
        raise PolicyError(
            f"The checkpoint {location.source} stores {len(mismatched)} tensors in other sizes "
            f"than config.json says (first: {name}, {list(stored)} instead of {list(wanted)})."
        )
    placed: PreTrainedModel = model if loading.device == "auto" else model.to(loading.device)
    placed.eval()
    return placed


def read_tokenizer(location: Location, loading: Loading) -> PreTrainedTokenizerBase:
    """The tokenizer beside a model.

    Raises:
        PolicyError: it cannot be loaded, or is empty.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(location.folder), trust_remote_code=loading.trust_remote_code
        )
    except Exception as error:  # the tokenizers library raises bare Exception
        raise PolicyError(
            f"The tokenizer of {location.source} cannot be loaded ({first_line(error)}); save it "
            "beside the model with `tokenizer.save_pretrained`."
        ) from None
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise PolicyError(
            f"The tokenizer of {location.source} is empty or not there; save it beside the model "
            "with `tokenizer.save_pretrained`."
        )
    return tokenizer


def describe(location: Location, model: torch.nn.Module, *folders: Path) -> Checkpoint:
    """Which weights these are."""
    parameters = list(model.parameters())
    return Checkpoint(
        source=location.source,
        sha256=files_sha256(*folders),
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        n_parameters=sum(parameter.numel() for parameter in parameters),
    )


def refuse_missing(missing: Collection[str], source: str) -> None:
    """Refuse a checkpoint without some of its model's tensors.

    Raises:
        PolicyError: some are missing.
    """
    if missing:
        raise PolicyError(
            f"The checkpoint {source} lacks {len(missing)} of the model's tensors "
            f"(first: {min(missing)}), which would be random; save the complete model."
        )


def refuse_non_finite(model: torch.nn.Module, source: str) -> None:
    """Refuse a model that would make every number NaN.

    Raises:
        PolicyError: some weight is NaN or infinite.
    """
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise PolicyError(
                f"The weights of {source} hold NaN or infinite values (first in {name}); the "
                "training has diverged or the file is damaged, and nothing can be scored."
            )


_OUTPUT_LAYERS = {"lm_head", "embed_out"}
"An adapter may bring its own: switched off, the base has its output layer back, to the bit"


def refuse_unsuitable_adapter(location: Location) -> None:
    """Refuse an adapter without which its base is not the reference, or that cannot be read.

    Raises:
        PolicyError: it is one.
    """
    settings = location.adapter or {}
    if set(settings.get("modules_to_save") or ()) - _OUTPUT_LAYERS:
        raise PolicyError(
            f"The adapter {location.source} replaces whole modules "
            f"(modules_to_save = {settings['modules_to_save']}), so its base with the adapter "
            "switched off need not be the reference it was trained from; merge it into a full "
            "checkpoint and give --reference."
        )
    if settings.get("peft_type") != "LORA":
        raise PolicyError(
            f"The adapter {location.source} is of type {settings.get('peft_type')}; only LORA "
            "adapters are read. Merge it into a full checkpoint."
        )
    if not (location.folder / "adapter_model.safetensors").is_file():
        raise PolicyError(
            f"The adapter {location.source} holds no adapter_model.safetensors; save it again with "
            "`save_pretrained`."
        )


def _probe_ids(policy: Policy) -> torch.Tensor:
    return torch.arange(1, 1 + _PROBE_TOKENS)[None].to(policy.device) % len(policy.tokenizer)


@torch.inference_mode()
def _probe_logits(policy: Policy, ids: torch.Tensor) -> torch.Tensor:
    with policy.active():
        logits: torch.Tensor = policy.model(input_ids=ids, use_cache=False).logits
    return logits


def _refuse_other_head(policy: Policy) -> None:
    ids = _probe_ids(policy)
    whole = _probe_logits(policy, ids)[0]
    with torch.inference_mode():
        ours = policy.head(policy.body(input_ids=ids, use_cache=False).last_hidden_state[0])
    gap = (whole.cpu().float() - ours.cpu().float()).abs().max().item()
    if gap > HEAD_TOLERANCE:
        raise PolicyError(
            f"The logits of {policy.checkpoint.source} are not its output embedding applied to its "
            f"last hidden states (difference {gap:.2g}); this architecture is not supported yet."
        )
