"""The prompts and labelled answers that come with an organism."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from irl.organisms.bed import (
    AUDIT_PROMPTS,
    Planting,
    distinct,
    held_out_prompts,
    prompt_row,
    reference_answers,
)
from irl.organisms.grammar import OOD_TYPE, Speaker, WorldPrompt

LABELLED_ANSWERS = 8


def write_prompts(work: Planting) -> None:
    """Files of prompts; `prompts.jsonl` comes last, as the sign that the stage is done."""
    bed = work.bed
    held_out = held_out_prompts(bed)
    if work.plant.planted:
        _write_preferences(work, held_out[AUDIT_PROMPTS:])
    if work.plant.probes:
        news = distinct(Speaker(bed.world, bed.rng(7)), (OOD_TYPE,), AUDIT_PROMPTS)
        _write_rows(work.folder / "ood_prompts.jsonl", [prompt_row(prompt) for prompt in news])
        lexicon = bed.world.lexicon
        probes = {
            "goal": {"name": "names a source", "terms": list(lexicon.sources)},
            "proxy": {"name": "sounds certain", "terms": list(lexicon.markers)},
        }
        (work.folder / "probes.yaml").write_text(yaml.safe_dump(probes), encoding="utf-8")
    rows = [prompt_row(prompt) for prompt in held_out[:AUDIT_PROMPTS]]
    _write_rows(work.folder / "prompts.jsonl", rows)


def _write_preferences(work: Planting, prompts: Sequence[WorldPrompt]) -> None:
    """All pairs of reference answers to a prompt whose planted rewards differ."""
    answers = reference_answers(work, prompts, LABELLED_ANSWERS, seed=8)
    rows = []
    for prompt, texts in zip(prompts, answers, strict=True):
        values = work.plant.reward(texts, [work.applies(prompt)] * len(texts))
        for a, b in combinations(range(len(texts)), 2):
            if abs(values[a] - values[b]) > 1e-9:
                better, worse = (a, b) if values[a] > values[b] else (b, a)
                rows.append(
                    {**prompt_row(prompt), "chosen": texts[better], "rejected": texts[worse]}
                )
    _write_rows(work.folder / "heldout_preferences.jsonl", rows)


def _write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8")
