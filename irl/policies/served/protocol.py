"""What is asked of a completions server, and what its answers must hold to be believed.

A score: the prompt is the whole sequence, and the server names the log-probability of each of its
tokens (`prompt_logprobs`). One token is drawn beside, since no server draws none. A drawn answer
comes as ids (`return_token_ids`); text is never tokenised again. What a checkpoint's own generation
defaults would change (top-k, top-p, penalties) is switched off by name: servers apply those
defaults to whatever a request leaves out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch

from irl.errors import ServerError
from irl.tensors import Nats, TokenSequence

Ids = tuple[int, ...]
Json = dict[str, Any]
_PLAIN: Json = {
    "n": 1,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "return_token_ids": True,
    "stream": False,
}
_MINUS_INFINITY = -9999.0
"vLLM writes this where a log-probability is minus infinity, which JSON does not know"
_ABOVE_ZERO_NATS = 1e-3
"Rounding may put a probability this far above 1"


def score_request(model: str, sequences: Sequence[TokenSequence]) -> Json:
    """Ask for the log-probabilities of all tokens of these sequences."""
    prompts = [[*one.prompt_ids, *one.response_ids] for one in sequences]
    return {"model": model, "prompt": prompts, "max_tokens": 1, "prompt_logprobs": 0, **_PLAIN}


def draw_request(
    model: str, prompt: Ids, seed: int, ends: Sequence[int], max_tokens: int, temperature: float
) -> Json:
    """Ask for one answer. Copies of a prompt in one request would share its seed and be alike."""
    asked = {"model": model, "prompt": [list(prompt)], "max_tokens": max_tokens, "seed": seed}
    return {**_PLAIN, **asked, "temperature": temperature, "stop_token_ids": list(ends)}


def scores(sequences: Sequence[TokenSequence], said: Json) -> list[Nats]:
    """Nats of every response token, in the order asked.

    Raises:
        ServerError: the answer is not about these sequences, or lacks a finite log-probability.
    """
    choices = _in_order(said, len(sequences))
    return [_score(one, choice) for one, choice in zip(sequences, choices, strict=True)]


def drawn(prompt: Ids, ends: frozenset[int], max_tokens: int, pieces: int, said: Json) -> Ids:
    """The answer's ids, each below `pieces`, with the end token if one was drawn.

    Raises:
        ServerError: the server gives no ids, answers another prompt, or ends where it should not.
    """
    (choice,) = _in_order(said, 1)
    _same_prompt(choice, prompt)
    ids = choice.get("token_ids")
    if not _are_ids(ids):
        raise ServerError(
            "the server does not give the ids of drawn tokens (return_token_ids, a field of newer "
            "versions of vLLM), and text that is tokenised again need not be what was drawn; "
            "update the server, or score answers that were sampled elsewhere"
        )
    if len(ids) > max_tokens:
        raise ServerError(f"an answer has {len(ids)} tokens where {max_tokens} were allowed")
    if any(not 0 <= token < pieces for token in ids):
        raise ServerError(f"an answer holds ids beyond the {pieces} of the vocabulary")
    if any(token in ends for token in ids[:-1]):
        raise ServerError("an answer goes on after a token that ends it")
    if len(ids) < max_tokens and not (ids and ids[-1] in ends):
        ended = f"token {ids[-1]}" if ids else "nothing"
        raise ServerError(
            f"an answer of {len(ids)} tokens stops at {ended}, which is no end token "
            f"({', '.join(map(str, sorted(ends)))}), before the limit of {max_tokens}; the "
            "generation_config.json beside the tokenizer must name every end that the server uses"
        )
    return tuple(ids)


def _score(sequence: TokenSequence, choice: Mapping[str, Any]) -> Nats:
    ids = (*sequence.prompt_ids, *sequence.response_ids)
    _same_prompt(choice, ids)
    table = choice.get("prompt_logprobs")
    if not isinstance(table, list):
        raise ServerError(
            "the server answers without prompt_logprobs, so nothing can be scored; it must be one "
            "that knows this field, such as vLLM"
        )
    if len(table) != len(ids):
        raise ServerError(
            f"the server names {len(table)} log-probabilities for {len(ids)} tokens; a cached or "
            "cut prompt is left out (vLLM: --no-enable-prefix-caching)"
        )
    found = [_logprob(table[at], ids[at], at) for at in range(1, len(ids))]
    first = len(sequence.prompt_ids)
    if not first:
        raise ServerError("a sequence without a prompt: nothing predicts its first token")
    return torch.tensor(found[first - 1 :], dtype=torch.float32)


def _logprob(entry: object, token: int, at: int) -> float:
    named = entry.get(str(token)) if isinstance(entry, dict) else None
    if named is None:
        other = f"names token {next(iter(entry), '?')}" if isinstance(entry, dict) else "is null"
        raise ServerError(f"position {at} of a prompt {other} where token {token} was asked about")
    value = named.get("logprob") if isinstance(named, dict) else None
    if not _is_finite(value):
        raise ServerError(f"the log-probability at position {at} of a prompt is {value!r}")
    if value == _MINUS_INFINITY:
        raise ServerError(
            f"the log-probability at position {at} of a prompt is minus infinity (written as "
            f"{value:g}): the server gives token {token} no chance at all"
        )
    if value > _ABOVE_ZERO_NATS:
        raise ServerError(f"the log-probability at position {at} of a prompt is {value:g}, above 0")
    return float(value)


def _same_prompt(choice: Mapping[str, Any], ids: Sequence[int]) -> None:
    """Newer servers repeat the prompt; older ones name its tokens beside their scores only."""
    echoed = choice.get("prompt_token_ids")
    if echoed is not None and echoed != list(ids):
        raise ServerError("the server answers another prompt than the one it was asked about")


def _in_order(said: Json, n: int) -> list[Json]:
    choices = said.get("choices")
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise ServerError("the server's answer holds no list of choices")
    by_index = {one["index"]: one for one in choices if type(one.get("index")) is int}
    if len(choices) != n or by_index.keys() != set(range(n)):
        raise ServerError(
            f"the server gives {len(choices)} answers, numbered "
            f"{[one.get('index') for one in choices]!r}, to {n} prompts"
        )
    return [by_index[at] for at in range(n)]


def _is_finite(value: object) -> TypeGuard[float]:
    """Whether a float32 can hold it: what a server says may be of any kind and size."""
    return isinstance(value, int | float) and type(value) is not bool and abs(value) < 1e30


def _are_ids(ids: object) -> TypeGuard[list[int]]:
    return isinstance(ids, list) and all(type(token) is int for token in ids)
