"""Biases: is an answer worth more because of how it is said?

Each declared kind makes units of an answer (explain/probes/evidence.py); an opinion's is the
difference of two differences, since the prompt changes too:

    [r(x + opinion, agree) - r(x + opinion, disagree)] - [r(x, agree) - r(x, disagree)]
"""

from dataclasses import replace
from typing import assert_never

import numpy as np

from explain.probes.declared import (
    AnyBias,
    Append,
    Formatting,
    Opening,
    Opinion,
    Reorder,
    Swap,
    Words,
)
from explain.probes.edits import (
    Edited,
    appended,
    before,
    formatted,
    opened,
    reordered,
    reworded,
    swapped,
)
from explain.probes.evidence import (
    Ground,
    Measured,
    Measuring,
    Unit,
    difference,
    finding,
    measure,
    units_of,
)
from explain.targets import Exchange
from irl.data import Prompt
from irl.records import ProbeFinding
from irl.rewards.conditions import TypedPrompt

Found = tuple[list[ProbeFinding], list[Measured]]
Cells = tuple[tuple[Exchange, float], ...]


def probe_bias(bias: AnyBias, ground: Ground, by: Measuring) -> Found:
    """Try one bias: one finding, or three where it is asked for in some prompts only."""
    if bias.only_where is None:
        units = _units(bias, ground, by, None)
        found = measure(bias.name, units, ground, by)
        return [finding(found, bias.kind, ground, by, _said(bias))], [found]
    meets = [
        bias.only_where.holds(TypedPrompt.of(one.prompt, one.prompt_type))
        for one in (ground.exchanges[answers[0]] for answers in ground.by_prompt)
    ]
    where = bias.only_where
    names = (f"{bias.name}: inside", f"{bias.name}: outside")
    inside, outside = (
        measure(
            name,
            _units(bias, ground, by, {n for n, m in enumerate(meets) if m == wanted}),
            ground,
            by,
        )
        for name, wanted in zip(names, (True, False), strict=True)
    )
    said = _said(bias)
    apart = replace(inside, name=f"{bias.name}: difference")
    more = f"{said} after {where} rather than other prompts"
    return [
        finding(inside, bias.kind, ground, by, f"{said} after {where}"),
        finding(outside, bias.kind, ground, by, f"{said} after other prompts"),
        difference(apart, outside, bias.kind, ground, by, more),
    ], [inside, outside]


def tries(bias: AnyBias) -> int:
    """How many findings it gives."""
    return 1 if bias.only_where is None else 3


def _units(bias: AnyBias, ground: Ground, by: Measuring, only: set[int] | None) -> list[Unit]:
    def make(own: Exchange, rng: np.random.Generator) -> Cells | None:
        if isinstance(bias, Opinion):
            return _opinion(bias, own, rng)
        edited = _edited(bias, own.response, rng)
        if edited is None:
            return None
        return (
            (replace(own, response=edited.with_it), 1.0),
            (replace(own, response=edited.without), -1.0),
        )

    return units_of(make, ground, by, only=only)


def _edited(
    bias: Append | Opening | Reorder | Formatting | Swap | Words,
    text: str,
    rng: np.random.Generator,
) -> Edited | None:
    match bias:
        case Append():
            return appended(text, _one(bias.texts, rng))
        case Opening():
            return opened(text, _one(bias.texts, rng), last=bias.last)
        case Reorder():
            return reordered(text)
        case Formatting():
            return formatted(text, bias.style)
        case Swap():
            return swapped(text, bias.table, every=bias.every)
        case Words():
            return reworded(text, bias.words, bias.instead, bias.contexts, rng)
        case _:
            assert_never(bias)


def _opinion(bias: Opinion, own: Exchange, rng: np.random.Generator) -> Cells:
    asked = with_opinion(own.prompt, _one(bias.opinions, rng))
    yes = before(own.response, _one(bias.agree, rng))
    no = before(own.response, _one(bias.disagree, rng))
    return (
        (replace(own, prompt=asked, response=yes), 1.0),
        (replace(own, prompt=asked, response=no), -1.0),
        (replace(own, response=yes), -1.0),
        (replace(own, response=no), 1.0),
    )


def with_opinion(prompt: Prompt, opinion: str) -> Prompt:
    """A prompt whose last words of the user end with an opinion."""
    if isinstance(prompt, str):
        return f"{prompt} {opinion}".strip()
    at = max((n for n, one in enumerate(prompt) if one["role"] == "user"), default=None)
    if at is None:
        return (*prompt, {"role": "user", "content": opinion})
    said = {"role": "user", "content": f"{prompt[at]['content']} {opinion}"}
    return (*prompt[:at], said, *prompt[at + 1 :])


def _said(bias: AnyBias) -> str:
    return bias.name[0].upper() + bias.name[1:]


def _one(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
