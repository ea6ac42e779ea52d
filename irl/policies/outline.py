"""A policy without its weights: how it reads and ends text, its size and its hash.

What needs no more than that need not have the memory: where workers hold the models, the process
that tells them what to do holds outlines. What loading refuses in the weights, workers refuse.
"""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from irl.config import Loading
from irl.errors import PolicyError, first_line
from irl.policies.checkpoint import Location
from irl.policies.load import describe, read_tokenizer, refuse_unsuitable_adapter
from irl.policies.policy import Policy

NOWHERE = torch.device("meta")


def outline_full(location: Location, loading: Loading) -> Policy:
    """A full model as a policy that cannot score.

    Raises:
        PolicyError: its config or tokenizer cannot be read.
    """
    folder = str(location.folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=loading.trust_remote_code)
        with NOWHERE:
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                config,
                dtype=getattr(torch, loading.dtype),
                trust_remote_code=loading.trust_remote_code,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise PolicyError(
            f"{location.source} cannot be loaded as a causal language model ({first_line(error)})."
        ) from None
    if (location.folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    tokenizer = read_tokenizer(location, loading)
    described = describe(location, model, location.folder)
    return Policy(model.eval(), tokenizer, described, folder=location.folder)


def outline_adapter(
    location: Location, base: Policy, base_folder: Path, loading: Loading
) -> tuple[Policy, Policy]:
    """An adapter over the outline of its base, as `irl.policies.load.load_adapter`.

    Raises:
        PolicyError: the adapter replaces whole modules or cannot be read.
    """
    from peft import PeftConfig, get_peft_model  # as in load_adapter

    refuse_unsuitable_adapter(location)
    try:
        with NOWHERE:
            wrapped = get_peft_model(base.model, PeftConfig.from_pretrained(str(location.folder)))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise PolicyError(
            f"The adapter {location.source} cannot be put on its base "
            f"{base.checkpoint.source} ({first_line(error)})."
        ) from None
    described = describe(location, wrapped, location.folder, base_folder)
    own = (location.folder / "tokenizer_config.json").is_file()
    tokenizer = read_tokenizer(location, loading) if own else base.tokenizer
    aligned = Policy(base.model, tokenizer, described)
    return aligned, Policy(base.model, base.tokenizer, base.checkpoint, folder=base.folder)
