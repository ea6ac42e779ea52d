"""The job `irl rewardbench`: a reward on RewardBench data, without RewardBench.

Writes results/NAME.json and NAME_outputs.jsonl in RewardBench's format (ties count one half, which
it counts 0), .eval_results/rewardbench.yaml as model repositories on the hub hold it where the data
is one of the two benchmarks, and rewardbench.json with intervals and ties.
"""

import json
from pathlib import Path

import numpy as np
import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from irl.config import Chat, Loading
from irl.data import Table
from irl.data.reward_bench import BenchRow, read_reward_bench
from irl.errors import InputError, RunError
from irl.evaluation.reward_bench import (
    TIES,
    Scored,
    benchmark_of,
    headline,
    sections,
    subset_of,
    ties_score,
)
from irl.jobs.named_reward import NamedReward, named_reward
from irl.policies.quiet import quiet_libraries
from irl.policies.template import PromptText, as_chat
from irl.records import BenchSubset, RewardBenchReport
from irl.runs import write_text


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
    named = named_reward(reward, chat, loading)
    scored = _scored(named, table)
    plain = [row for row in scored if row.subset != TIES]
    names = list(dict.fromkeys(row.subset for row in plain))
    report = RewardBenchReport(
        model=reward,
        source=data,
        rows=len(scored),
        benchmark=benchmark_of(row.subset for row in scored),
        chat_template=named.reads_chats,
        score=headline(scored),
        overall=subset_of("overall", plain),
        subsets=[subset_of(name, [r for r in plain if r.subset == name]) for name in names],
        sections=sections(plain),
        ties_score=ties_score([row for row in scored if row.subset == TIES]),
        refused_rows=len(table.refused),
    )
    _write(report, scored, table, out)
    return report


def _scored(reward: NamedReward, table: Table[BenchRow]) -> list[Scored]:
    """Every row; prompts that are plain strings are user messages, as RewardBench has them."""
    asked = [(text, str(row.prompt)) for row in table.rows for text in (*row.chosen, *row.rejected)]
    by_name: dict[str, PromptText] = {str(row.prompt): row.prompt for row in table.rows}
    if reward.reads_chats:
        by_name = {name: as_chat(prompt, "always") for name, prompt in by_name.items()}
    # Each once: in a batch, rounding would tell equal texts apart.
    unique = {one: at for at, one in enumerate(dict.fromkeys(asked))}
    texts, prompts = [text for text, _ in unique], [by_name[name] for _, name in unique]
    scores = reward(texts, prompts)[[unique[one] for one in asked]]
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
        if report.benchmark is not None:
            (out / ".eval_results").mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} cannot be written ({error.strerror}); give another --out.") from None
    extra = {row.name: _mean(scored, row.name) for row in report.subsets}
    if report.ties_score is not None and report.ties_score.score is not None:
        extra[TIES] = report.ties_score.score.value
    document = {
        "accuracy": _mean(scored),
        "num_prompts": report.rows,
        "model": report.model,
        "ref_model": None,
        "tokenizer": report.model,
        "chat_template": "tokenizer" if report.chat_template else None,
        "extra_results": extra,
    }
    write_text(out / "results" / f"{name}.json", json.dumps(document, indent=4) + "\n")
    lines = [json.dumps(_output(*both)) for both in zip(table.rows, scored, strict=True)]
    write_text(out / "results" / f"{name}_outputs.jsonl", "\n".join(lines) + "\n")
    if report.benchmark is not None:
        file = out / ".eval_results" / "rewardbench.yaml"
        write_text(file, _eval_results(report, report.benchmark))
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


def _eval_results(report: RewardBenchReport, benchmark: str) -> str:
    parts = report.sections or report.subsets
    ties = report.ties_score.score if report.ties_score else None
    tied = [BenchSubset(name=TIES, accuracy=ties, ties=0)] if ties else []
    entries = []
    for row in [*([report.score] if report.score else []), *parts, *tied]:
        if row.accuracy is not None:
            at = row.accuracy
            notes = f"95 % interval {at.low:.4f} to {at.high:.4f}, n {at.n}; {row.ties} ties"
            entries.append(
                EvalResultEntry(
                    dataset_id=benchmark,
                    task_id=row.name.lower().replace(" ", "-"),
                    value=round(at.value, 6),
                    notes=notes,
                )
            )
    return str(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False))


def _mean(scored: list[Scored], subset: str | None = None) -> float | None:
    """Of one row, too, which has no interval."""
    results = [r.result for r in scored if r.subset != TIES and subset in (None, r.subset)]
    return float(np.mean(results)) if results else None
