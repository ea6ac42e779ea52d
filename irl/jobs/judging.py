"""The job `irl judge`: answers in, preferences of a judge out."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import codes, share
from irl.config import Chat, Loading
from irl.data import read_preferences, read_samples
from irl.ensembles.judge import Judged, by_model, by_reward
from irl.ensembles.pairs import Pairs, pairs_of
from irl.errors import InputError
from irl.evaluation.pair_figures import mean_of
from irl.jobs.named_reward import is_reward_model, named_reward
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.quiet import quiet_libraries
from irl.policies.template import PromptText
from irl.records import Caveat, JudgingReport
from irl.runs import write_text

UNFAIR = 0.1
"Position bias from which a caveat is given"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class JudgingSettings:
    """Who judges what."""

    judge: str
    "a chat model, a reward model's directory, or a run that stored a reward"
    answers: str | None = None
    "samples: prompt, response, several to a prompt"
    preferences: str | None = None
    "labelled pairs; their labels are only compared with"
    chat: Chat = "auto"
    seed: int = 0


def judge(settings: JudgingSettings, out: Path) -> JudgingReport:
    """Write preferences as JSONL (prompt, chosen, rejected, probability) and out.report.json.

    Raises:
        InputError: the answers or the judge cannot be used.
        PolicyError: a model cannot be loaded.
        RunError: the file cannot be written.
    """
    quiet_libraries()
    if str(out) in (settings.answers, settings.preferences):
        raise InputError(f"{out} is what is judged; give another --out.")
    pairs, left_out, labelled = _pairs(settings)
    swap = np.random.default_rng(settings.seed).random(len(pairs)) < 0.5
    shown = pairs.flipped(swap)  # else the label would be the position
    judged, reason = _judged(settings, shown)
    read = np.isfinite(judged.probability)
    left_out[reason] = int((~read).sum())
    if not read.any():
        raise InputError(
            f"The judge {settings.judge} can read none of {len(pairs)} pairs "
            f"({reason.replace('_', ' ')})."
        )
    pairs, shown, judged, swap = pairs.at(read), shown.at(read), judged.at(read), swap[read]
    p = judged.probability
    told = p != 0.5
    lines = [
        json.dumps(_row(shown, int(at), float(p[at])), ensure_ascii=False)
        for at in np.flatnonzero(told)
    ]
    if not lines:
        raise InputError(f"The judge {settings.judge} prefers no answer to another.")
    right = np.where(told, (p > 0.5) != swap, 0.5).astype(float)
    bias = mean_of(judged.position_bias, pairs.cluster, settings.seed)
    unfair = bias is not None and abs(bias.value) > UNFAIR
    report = JudgingReport(
        judge=settings.judge,
        source=str(settings.answers or settings.preferences),
        pairs=len(pairs),
        undecided=int((~told).sum()),
        position_bias=bias,
        consistent=share(mean_of(judged.consistent.astype(float), pairs.cluster, settings.seed)),
        agreement=share(mean_of(right, pairs.cluster, settings.seed)) if labelled else None,
        left_out=left_out,
        caveats=(_POSITION,) if unfair else (),
    )
    write_text(out, "\n".join(lines) + "\n")
    write_text(out.with_suffix(".report.json"), report.to_json())
    return report


_POSITION = Caveat(
    code="position-bias",
    text="The judge prefers a position more than it should; both orders are averaged, but what it "
    "says of either answer is weak.",
)


def _row(pairs: Pairs, at: int, p: float) -> dict[str, object]:
    first, second = pairs.chosen[at], pairs.rejected[at]
    better, worse = (first, second) if p > 0.5 else (second, first)
    prompt: PromptText = pairs.prompts[at]
    stored = prompt if isinstance(prompt, str) else [dict(message) for message in prompt]
    return {"prompt": stored, "chosen": better, "rejected": worse, "probability": max(p, 1 - p)}


def _pairs(settings: JudgingSettings) -> tuple[Pairs, dict[str, int], bool]:
    if (settings.answers is None) == (settings.preferences is None):
        raise InputError("Give either --answers or --preferences to the judge.")
    if settings.preferences is not None:
        table = read_preferences(settings.preferences)
        pairs = pairs_of(table.rows, settings.seed)
        return pairs, {"refused_rows": len(table.refused), **pairs.odd}, True
    samples = read_samples(str(settings.answers))
    by_prompt: dict[str, dict[str, int]] = {}
    for at, row in enumerate(samples.rows):
        by_prompt.setdefault(row.prompt_id, {}).setdefault(row.response, at)
    different = [list(answers.values()) for answers in by_prompt.values()]
    couples = [couple for rows in different for couple in zip(rows[::2], rows[1::2], strict=False)]
    if not couples:
        raise InputError(f"No prompt of {settings.answers} has two different answers to compare.")
    n = sum(map(len, different))
    counts = {"refused_rows": len(samples.refused), "equal_texts": len(samples.rows) - n}
    counts["without_a_partner"] = n - 2 * len(couples)
    rows = samples.rows
    return (
        Pairs(
            [rows[a].response for a, _ in couples],
            [rows[b].response for _, b in couples],
            [rows[a].prompt for a, _ in couples],
            codes([rows[a].prompt_id for a, _ in couples]),
            {},
        ),
        counts,
        False,
    )


def _judged(settings: JudgingSettings, pairs: Pairs) -> tuple[Judged, str]:
    """What the judge says, NaN where it cannot say anything, and why it could not."""
    if _is_policy(settings.judge):
        policy = load_full(locate(settings.judge), Loading())
        said = by_model(policy, pairs.prompts, pairs.chosen, pairs.rejected, settings.chat)
        return said, "longer_than_the_context"
    reward = named_reward(settings.judge, settings.chat)
    return by_reward(reward, pairs.prompts, pairs.chosen, pairs.rejected), "scored_not_finite"


def _is_policy(source: str) -> bool:
    """A directory or hub id of a language model, and neither a run nor a reward model."""
    if is_reward_model(source) or (Path(source) / "config.yaml").is_file():
        return False
    here = [Path(source) / name for name in ("config.json", "adapter_config.json")]
    if any(file.is_file() for file in here):
        return True
    return source.count("/") == 1 and not Path(source).exists()
