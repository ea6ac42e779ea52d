"""triage.parquet: one row per response, with what it is near."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irl.data import PromptRow
from irl.evaluation.triage import Sorted, margin
from irl.jobs.trust_answers import Answers
from irl.jobs.trust_surroundings import Embedded

Array = NDArray[np.float64]


def triage_table(
    prompts: Sequence[PromptRow],
    groups: Sequence[str],
    ours: tuple[Answers, Array],
    found: Sorted,
    held: tuple[Embedded, Array],
    shown: int,
) -> pa.Table:
    """Every response with its category, its figures and its nearest held-out answers.

    Args:
        prompts: that the responses answer, by number.
        groups: of the prompts.
        ours: the responses, and the mean reward of each.
        found: the triage.
        held: the held-out answers that were searched; of each held-out pair, 1 where it is wrong.
        shown: how many neighbours are kept.
    """
    answers, reward = ours
    searched, wrong = held
    number = answers.prompt
    pair_of, texts = searched.answered.pair_of[searched.at], searched.texts
    nearest = found.near.at[:, :shown]
    missing = [None] * len(number)
    return pa.table(
        {
            "response_id": _ids(prompts, number),
            "prompt_id": [prompts[at].prompt_id for at in number],
            "prompt": [_shown(prompts[at]) for at in number],
            "response": answers.texts,
            "group": [groups[at] for at in number],
            "category": found.triage.category,
            "out_of_distribution": found.triage.beyond,
            "locally_wrong": found.triage.locally_wrong,
            "boundary": found.triage.boundary,
            "reward": reward,
            "probability": found.said.probability,
            "margin": margin(found.said.probability),
            "epistemic": found.said.epistemic,
            "aleatoric": found.said.aleatoric,
            "spread": found.said.spread,
            "distance": found.distance,
            "local_error": found.local.rate,
            "local_error_low": found.local.low,
            "local_error_high": found.local.high,
            "local_pairs": found.local.pairs,
            "data_nats": answers.data_nats,
            "policy_nats": missing if answers.policy_nats is None else answers.policy_nats,
            "neighbour_ids": [[f"held-out-{searched.at[at]}" for at in row] for row in nearest],
            "neighbour_texts": [[texts[at] for at in row] for row in nearest],
            "neighbour_distances": found.near.distances[:, :shown].tolist(),
            "neighbour_wrong": [wrong[pair_of[row]].tolist() for row in nearest],
        },
        schema=TRIAGE,
    )


_f64, _strings = pa.float64(), pa.list_(pa.string())
TRIAGE = pa.schema(
    [
        (name, pa.string())
        for name in ("response_id", "prompt_id", "prompt", "response", "group", "category")
    ]
    + [(name, pa.bool_()) for name in ("out_of_distribution", "locally_wrong", "boundary")]
    + [
        (name, _f64)
        for name in (
            *("reward", "probability", "margin", "epistemic", "aleatoric"),
            *("spread", "distance"),
            *("local_error", "local_error_low", "local_error_high"),
        )
    ]
    + [("local_pairs", pa.int64()), ("data_nats", _f64), ("policy_nats", _f64)]
    + [("neighbour_ids", _strings), ("neighbour_texts", _strings)]
    + [(name, pa.list_(_f64)) for name in ("neighbour_distances", "neighbour_wrong")]
)


def _ids(prompts: Sequence[PromptRow], number: NDArray[np.int64]) -> list[str]:
    seen: dict[int, int] = {}
    names = []
    for at in number.tolist():
        seen[at] = seen.get(at, -1) + 1
        names.append(f"{prompts[at].prompt_id}-{seen[at]}")
    return names


def _shown(row: PromptRow) -> str:
    prompt = row.prompt
    return prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)
