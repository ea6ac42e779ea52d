"""The job `irl rewardbench`: a reward on RewardBench data, without RewardBench.

Writes results/NAME.json and NAME_outputs.jsonl as RewardBench does, .eval_results/rewardbench.yaml
as model repositories on the hub hold it, and rewardbench.json with intervals and ties.
"""

import json
from pathlib import Path

import numpy as np
import torch
import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from irl.config import Chat, Loading
from irl.data import Table
from irl.data.reward_bench import BenchRow, read_reward_bench
from irl.errors import InputError, RunError
from irl.evaluation.reward_bench import TIES, Scored, sections, subset_of, ties_score
from irl.policies.quiet import quiet_libraries
from irl.policies.reward_model import load_scorer
from irl.records import RewardBenchReport
from irl.rewards.head_reward import HeadReward
from irl.rewards.stored import Reward, load_reward
from irl.rewards.terms import TermReward
from irl.rewards.transformer import TokenIds, Transformer
from irl.runs import find_run, write_text


def reward_bench(
    reward: str, data: str, out: Path, chat: Chat = "auto", loading: Loading | None = None
) -> RewardBenchReport:
    """Score a run's reward, or a directory with a reward model, on RewardBench data.

    Raises:
        InputError: the data or the reward cannot be used.
        PolicyError: a model cannot be loaded.
        RunError: the folder cannot be written.
    """
    quiet_libraries()
    table = read_reward_bench(data)
    scored = _scored(_reward(reward, chat, loading or Loading()), table)
    plain = [row for row in scored if row.subset != TIES]
    names = list(dict.fromkeys(row.subset for row in plain))
    report = RewardBenchReport(
        model=reward,
        source=data,
        rows=len(scored),
        overall=subset_of("overall", plain),
        subsets=[subset_of(name, [r for r in plain if r.subset == name]) for name in names],
        sections=sections(plain),
        ties_score=ties_score([row for row in scored if row.subset == TIES]),
        refused_rows=len(table.refused),
    )
    _write(report, scored, table, out)
    return report


def _reward(source: str, chat: Chat, loading: Loading) -> Reward:
    if (Path(source) / "config.json").is_file():
        scorer = load_scorer(source, loading, scored=True)
        weights = [weight.detach()[None] for weight in scorer.parameters()]
        return HeadReward(TokenIds(scorer, chat), Transformer(scorer, weights))
    return load_reward(find_run(source) / "reward")


def _scored(reward: Reward, table: Table[BenchRow]) -> list[Scored]:
    if isinstance(reward, TermReward) and reward.conditional:
        raise InputError("A reward of terms under conditions is no reward model for RewardBench.")
    asked = [(text, str(row.prompt)) for row in table.rows for text in (*row.chosen, *row.rejected)]
    by_name = {str(row.prompt): row.prompt for row in table.rows}
    # Each once: in a batch, rounding would tell equal texts apart.
    unique = {one: at for at, one in enumerate(dict.fromkeys(asked))}
    texts, prompts = [text for text, _ in unique], [by_name[name] for _, name in unique]
    with torch.inference_mode():
        given = (texts,) if isinstance(reward, TermReward) else (texts, prompts)
        scores = reward(*given).double().numpy()[[unique[one] for one in asked]]
    if not np.isfinite(scores).all():
        raise InputError(f"{int((~np.isfinite(scores)).sum())} scores are NaN or infinite.")
    found, at = [], 0
    for row in table.rows:
        middle, end = at + len(row.chosen), at + len(row.chosen) + len(row.rejected)
        found.append(Scored(row.id, row.subset, scores[at:middle], scores[middle:end]))
        at = end
    return found


def _write(
    report: RewardBenchReport, scored: list[Scored], table: Table[BenchRow], out: Path
) -> None:
    name = Path(report.model).name
    try:
        (out / "results").mkdir(parents=True, exist_ok=True)
        (out / ".eval_results").mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} cannot be written ({error.strerror}); give another --out.") from None
    extra = {row.name: _value(row.accuracy) for row in report.subsets}
    if report.ties_score is not None:
        extra[TIES] = _value(report.ties_score.score)
    document = {
        "accuracy": _value(report.overall.accuracy),
        "num_prompts": report.rows,
        "model": report.model,
        "ref_model": None,
        "tokenizer": report.model,
        "chat_template": "tokenizer",
        "extra_results": extra,
    }
    write_text(out / "results" / f"{name}.json", json.dumps(document, indent=4) + "\n")
    lines = [json.dumps(_output(*both)) for both in zip(table.rows, scored, strict=True)]
    write_text(out / "results" / f"{name}_outputs.jsonl", "\n".join(lines) + "\n")
    write_text(out / ".eval_results" / "rewardbench.yaml", _eval_results(report))
    write_text(out / "rewardbench.json", report.to_json())


def _output(row: BenchRow, scored: Scored) -> dict[str, object]:
    alone = len(row.chosen) == len(row.rejected) == 1
    texts = {"text_chosen": row.chosen, "text_rejected": row.rejected}
    scores = {
        "scores_chosen": scored.chosen.tolist(),
        "scores_rejected": scored.rejected.tolist(),
    }
    both: dict[str, object] = {}
    for key, values in (texts | scores).items():
        both[key] = values[0] if alone else list(values)
    return {"prompt": row.prompt, "results": scored.result, **both, "subset": row.subset}


def _eval_results(report: RewardBenchReport) -> str:
    version = "reward-bench-2" if report.ties_score is not None else "reward-bench"
    entries = []
    for row in [report.overall, *report.sections]:
        if row.accuracy is not None:
            at = row.accuracy
            notes = f"95 % interval {at.low:.4f} to {at.high:.4f}, n {at.n}; {row.ties} ties"
            entries.append(
                EvalResultEntry(
                    dataset_id=f"allenai/{version}",
                    task_id=row.name.lower().replace(" ", "-"),
                    value=round(at.value, 6),
                    notes=notes,
                )
            )
    return str(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False))


def _value(estimate: object) -> float | None:
    value = getattr(estimate, "value", None)
    return None if value is None else float(value)
