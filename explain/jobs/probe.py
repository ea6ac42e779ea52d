"""The job `irl probe`: edit a pair's answers, and see what a target makes of it.

1. Take the answers of a finished run, or sample some; value them by the target.
2. Try every declared probe (explain/probes/suite.py).
3. Write probes.json and probes.parquet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from explain.jobs.probe_settings import LOG_RATIO, ProbeSettings
from explain.probes.declared import Probes, read_probes
from explain.probes.evidence import Ground, Measuring
from explain.probes.likelihood import fitting, reference_nats
from explain.probes.suite import Found, edited_table, run_probes
from explain.probes.two_by_two import Labelled
from explain.resampling import Array
from explain.targets import Exchange, Target, log_ratio, reward
from irl.bootstrap import codes
from irl.data import LabelledResponse, Table
from irl.engine.shards import Progress, silent
from irl.errors import InputError
from irl.jobs.agreement import labels_of, read_labels
from irl.jobs.clock import Clock
from irl.jobs.scoring import input_hashes, prompts_of, sample_and_score
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.quiet import quiet_libraries
from irl.policies.served.policy import served_caveats
from irl.records import Caveat, ProbesReport
from irl.rewards.stored import load_reward
from irl.runs import RunFolder, file_sha256, now, open_run, read_record, versions

OFF_POLICY = Caveat(
    code="edited-texts",
    text=(
        "Edited answers are not what either policy says. The log-ratio of such texts is less "
        "evidence of a reward than that of sampled ones; edited_nats_per_token says how far off "
        "they are, and a probe whose answers are far off does not fire."
    ),
)
PROBES = "probes.json"
TYPICAL = 600
"Answers of the reference that edited ones are held against"
UNIT = {True: "nats", False: "units of the reward"}


@dataclass(frozen=True)
class Probed:
    """A finished run of probes."""

    run: RunFolder
    report: ProbesReport
    was_finished: bool


def probe(
    pair: PolicyPair,
    *,
    prompts: str | Path,
    out: str | Path | None = None,
    fresh: bool = False,
    **settings: Any,
) -> ProbesReport:
    """Probe a loaded pair from a script; `settings` are those of `ProbeSettings`.

    Raises:
        InputError: a file or setting cannot be used.
        RunError: the run folder cannot be written or holds another run.
    """
    sources = {side: getattr(pair, side).checkpoint.source for side in ("aligned", "reference")}
    resolved = ProbeSettings.checked({**sources, "prompts": str(prompts), **settings})
    return probe_run(resolved, None if out is None else Path(out), fresh=fresh, pair=pair).report


def probe_run(
    settings: ProbeSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    pair: PolicyPair | None = None,
    declared: Probes | None = None,
) -> Probed:
    """Probe the pair that the settings name; a finished run is returned as it is.

    The probes are those of the settings, unless they are given as they are.
    """
    quiet_libraries()
    if declared is None:
        declared = read_probes(Path(settings.probes) if settings.probes else None)
    labels = read_labels(settings.preferences)
    pair = pair or load_pair(settings.aligned, settings.reference, settings.loading)
    target = target_of(settings, pair)
    inputs = input_hashes(pair, prompts_of(settings), labels)
    inputs["probes"] = declared.model_dump_json()
    for name, folder in (("run", settings.run), ("target", _reward_folder(settings))):
        if folder is not None:
            inputs[name] = _contents(Path(folder))
    run = open_run("probe", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return Probed(run, read_record(run.path / PROBES, ProbesReport), was_finished=True)
    ground = ground_of(run, settings, pair, target, progress)
    report = probe_answers(run, settings, Probing(pair, target, declared, labels), ground)
    run.finish({"prompts": report.n_prompts, "responses": report.n_answers})
    return Probed(run, report, was_finished=False)


@dataclass(frozen=True)
class Probing:
    """What is probed, by which probes, beside which given preferences."""

    pair: PolicyPair
    target: Target
    declared: Probes
    labels: list[Table[LabelledResponse]]


def probe_answers(
    run: RunFolder, settings: ProbeSettings, of: Probing, ground: Ground
) -> ProbesReport:
    """Probe given answers; probes.json comes last."""
    by = measuring(settings, of.pair, of.target)
    ground = with_typical(ground, by)
    found = run_probes(of.declared, ground, by, labelled_by(of.target, of.labels, by))
    report = _report(run, settings, ground, of, found)
    run.write_table("probes.parquet", edited_table(found.measured))
    run.write_text(PROBES, report.to_json())
    return report


def target_of(settings: ProbeSettings, pair: PolicyPair) -> Target:
    """The scalar that is probed."""
    folder = _reward_folder(settings)
    if folder is None:
        return log_ratio(pair, settings.sampling, settings.chat)
    return reward(load_reward(folder))


def measuring(settings: ProbeSettings, pair: PolicyPair, target: Target) -> Measuring:
    """How the settings want probes to be measured."""
    return Measuring(
        target=target,
        likelihood=reference_nats(pair, settings.sampling, settings.chat),
        fits=fitting(pair, settings.chat),
        limits=settings.limits.record(),
        seed=settings.seed,
        prompts=settings.editing.prompts,
        answers=settings.editing.answers,
    )


def ground_of(
    run: RunFolder, settings: ProbeSettings, pair: PolicyPair, target: Target, progress: Progress
) -> Ground:
    """The pair's own answers: of a finished run, or drawn now."""
    if settings.run is not None:
        ground = answers_of_run(Path(settings.run), settings)
    else:
        sampled = sample_and_score(
            run, pair, prompts_of(settings), settings, Clock(), progress
        ).answers
        asked = list(zip(sampled.prompts, sampled.prompt_types, strict=True))
        ground = Ground(
            [
                Exchange(asked[at][0], text, asked[at][1])
                for at, text in zip(sampled.prompt, sampled.texts, strict=True)
            ],
            sampled.prompt,
            sampled.returns,
            sampled.aligned,
        )
    if settings.target == LOG_RATIO:
        return ground
    values: Array = target(ground.exchanges).numpy().astype(np.float64)
    return replace(ground, values=values)


def with_typical(ground: Ground, by: Measuring) -> Ground:
    """A ground with the likelihood of some answers that the reference wrote."""
    theirs = np.flatnonzero(~ground.aligned)
    if by.likelihood is None or not len(theirs):
        return ground
    some = theirs[:: max(1, len(theirs) // TYPICAL)]
    return replace(ground, typical=by.likelihood([ground.exchanges[at] for at in some]))


def answers_of_run(folder: Path, settings: ProbeSettings) -> Ground:
    """The answers of a finished run, with their log-ratios as values.

    Raises:
        InputError: the prompts file does not hold its prompts.
    """
    names = ["prompt_id", "response", "source", "log_ratio_nats"]
    rows = pq.read_table(folder / "responses.parquet", columns=names).to_pydict()
    asked = {row.prompt_id: row for row in prompts_of(settings).rows}
    if unknown := set(rows["prompt_id"]) - asked.keys():
        raise InputError(
            f"{settings.prompts} does not hold {len(unknown)} of the prompts that the run {folder} "
            "answered; give the file that the run was made from with --prompts."
        )
    exchanges = [
        Exchange(asked[name].prompt, text, asked[name].prompt_type)
        for name, text in zip(rows["prompt_id"], rows["response"], strict=True)
    ]
    return Ground(
        exchanges,
        codes(rows["prompt_id"]),
        np.array(rows["log_ratio_nats"]),
        np.array([source == "aligned" for source in rows["source"]]),
    )


def labelled_by(
    target: Target, tables: Sequence[Table[LabelledResponse]], by: Measuring
) -> Labelled | None:
    """Given preferences with what the target makes of them; what does not fit is left out."""
    rows = [row for table in tables for row in table.rows]
    exchanges = [Exchange(row.prompt, row.response, row.prompt_type) for row in rows]
    kept = [at for at, one in enumerate(exchanges) if by.fits is None or by.fits(one)]
    if not kept:
        return None
    usable = [rows[at] for at in kept]
    labels = labels_of("given", usable, [1] * len(usable))
    scores: Array = target([exchanges[at] for at in kept]).numpy().astype(np.float64)
    return Labelled([row.response for row in usable], labels, scores)


def _report(
    run: RunFolder, settings: ProbeSettings, ground: Ground, of: Probing, found: Found
) -> ProbesReport:
    declared = of.declared.model_dump(mode="json")
    return ProbesReport(
        schema="irl.probes/1",
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        settings={**settings.model_dump(mode="json"), "declared": declared},
        target=settings.target,
        unit=UNIT[settings.target == LOG_RATIO],
        within_prompt_sd=ground.sd,
        n_prompts=len(ground.by_prompt),
        n_answers=len(ground.exchanges),
        n_fired=found.fired,
        limits=settings.limits.record(),
        bias=found.bias,
        two_by_two=found.two_by_two,
        triggers=found.triggers,
        flips=found.flips,
        caveats=[OFF_POLICY, *served_caveats(of.pair.aligned, of.pair.reference)],
    )


def _reward_folder(settings: ProbeSettings) -> Path | None:
    """Where the reward that is probed lies; None for the log-ratio."""
    if settings.target == LOG_RATIO:
        return None
    folder = Path(settings.target)
    inner = folder / "reward"
    return inner if inner.is_dir() else folder


def _contents(folder: Path) -> str:
    files = sorted(file for file in folder.iterdir() if file.suffix in (".parquet", ".safetensors"))
    return ",".join(file_sha256(file) for file in files)
