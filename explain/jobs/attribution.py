"""The job `irl attribute`: what the segments of answers contribute, and whether to believe it.

1. Take one answer of each policy to some prompts of a finished run, at random.
2. Attribute the target to their segments by every method that was asked for.
3. Measure each attribution: does it add up, does removing what it points at do what it says, does
   it change with the model and not with a breath of noise, do methods agree?
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from explain.attribution.control import randomised
from explain.attribution.embedded import Embedded, embedded_log_ratio
from explain.attribution.gradients import deeplift, gradient_shap, integrated_gradients
from explain.attribution.metrics import infidelity, sensitivity
from explain.attribution.record import Attribution
from explain.attribution.removal import ablation, kernel_shap
from explain.cuts import CUTS
from explain.faithfulness import faithfulness, rank_agreement
from explain.jobs.attribution_report import Case, Mean, agreements, attributions_table, method_row
from explain.jobs.explained import Explained, pair_settings, require_types, some_answers
from explain.segments import segments
from explain.targets import Exchange, Target, log_ratio, remembered, reward
from irl.config import ScoreSettings, Settings
from irl.engine.shards import Progress, silent
from irl.jobs.clock import Clock, peak_memory_bytes
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.quiet import quiet_libraries
from irl.policies.spans import Span
from irl.records import (
    AttributionMethod,
    AttributionReport,
    Caveat,
)
from irl.rewards.stored import load_reward
from irl.runs import RunFolder, file_sha256, find_run, now, open_run, read_record, versions
from irl.within import spread

Array = NDArray[np.float64]
MethodName = Literal["ablation", "kernel-shap", "integrated-gradients", "gradient-shap", "deeplift"]
QUICK: tuple[MethodName, ...] = ("ablation", "integrated-gradients")
EVERY: tuple[MethodName, ...] = (*QUICK, "kernel-shap", "gradient-shap", "deeplift")
BY_REMOVAL: tuple[MethodName, ...] = ("ablation", "kernel-shap")
ATTRIBUTION = "attribution.json"
BY_GRADIENT = ("integrated-gradients", "gradient-shap", "deeplift")


class AttributeSettings(Settings):
    """What `irl attribute` needs."""

    run: str
    "a finished audit or score run"
    target: Literal["log-ratio", "reward"] = "log-ratio"
    methods: tuple[MethodName, ...] = Field(QUICK, min_length=1)
    by: Literal["word", "sentence", "line", "message"] = "word"
    prompts: int = Field(16, ge=1)
    "one answer of each policy to each"
    controls: int = Field(4, ge=0)
    "prompts to whose answers noise and shuffled weights are tried; they cost most by far"
    tolerance: float = Field(0.01, gt=0)
    token_budget: int = Field(4096, ge=64)
    "tokens that go through the models at once"
    seed: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _by_target(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("target") == "reward":
            return {"methods": BY_REMOVAL, **given}
        return given

    @model_validator(mode="after")
    def _within_reach(self) -> "AttributeSettings":
        asked = [name for name in self.methods if name in BY_GRADIENT]
        if asked and self.target == "reward":
            raise ValueError(
                f"{asked[0]} follows gradients to the embeddings of a model, but the recovered "
                "reward reads text; choose ablation or kernel-shap, or the target log-ratio"
            )
        return self


@dataclass(frozen=True)
class AttributionRun:
    """A finished attribution."""

    run: RunFolder
    report: AttributionReport
    was_finished: bool
    "True if the run was found finished and nothing was done"


def attribute(
    run: str | Path, *, out: str | Path | None = None, fresh: bool = False, **settings: Any
) -> AttributionReport:
    """Attribute from a script; `settings` as in `AttributeSettings`.

    Raises:
        InputError: a setting cannot be used, or the target has no embeddings to follow.
        PolicyError: the pair of the run cannot be loaded.
        RunError: the run is missing or unfinished, or the folder cannot be written.
    """
    resolved = AttributeSettings.checked({"run": str(run), **settings})
    return run_attribute(resolved, None if out is None else Path(out), fresh=fresh).report


def run_attribute(
    settings: AttributeSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
) -> AttributionRun:
    """Attribute; a finished run is returned as it is."""
    quiet_libraries()
    clock = Clock()
    source = find_run(settings.run)
    about = pair_settings(source)
    inputs = {"run": file_sha256(source / "responses.parquet")}
    run = open_run("attribute", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        kept = read_record(run.path / ATTRIBUTION, AttributionReport)
        return AttributionRun(run, kept, was_finished=True)
    with clock.stage("loading"):
        pair = load_pair(about.aligned, about.reference, about.loading)
    report = attribute_answers(run, settings, pair, about, clock, progress)
    run.finish({"answers": report.methods[0].answers})
    return AttributionRun(run, report, was_finished=False)


def attribute_answers(
    run: RunFolder,
    settings: AttributeSettings,
    pair: PolicyPair,
    about: ScoreSettings,
    clock: Clock,
    progress: Progress,
) -> AttributionReport:
    """Attribute answers of the run that the settings name; attribution.json comes last.

    Args:
        run: where attributions.parquet and attribution.json go.
        settings: what is attributed, and how.
        pair: the pair of the run.
        about: how the run read it.
        clock: of the stages.
        progress: of the answers.
    """
    source = find_run(settings.run)
    answers = some_answers(source, settings.prompts, settings.seed, about.prompts)
    target, embed = log_ratio(pair, about.sampling, about.chat), None
    if settings.target == "reward":
        recovered = load_reward(source / "reward")
        require_types(recovered, answers.exchanges, about.prompts)
        target = reward(recovered)
    else:
        embed = embedded_log_ratio(pair, about.chat)
    sd = spread(target(answers.exchanges).numpy(), answers.prompt)
    explain = Explaining(settings, target, embed, sd)
    cases = []
    for done, exchange in enumerate(answers.exchanges):
        control = answers.prompt[done] < settings.controls
        cases.append(explain(exchange, clock, control=bool(control)))
        progress("attributed", done + 1, len(answers.exchanges))
    report = _report(run, settings, cases, answers, sd, clock)
    run.write_table("attributions.parquet", attributions_table(answers, cases))
    run.write_text(ATTRIBUTION, report.to_json())
    return report


@dataclass(frozen=True)
class Explaining:
    """How each answer is explained."""

    settings: AttributeSettings
    target: Target
    embed: Callable[[Exchange], Embedded] | None
    spread: float

    def __call__(self, exchange: Exchange, clock: Clock, *, control: bool) -> Case:
        """Every method, and every measure of it."""
        target = remembered(self.target)
        seed, into = self.settings.seed, segments(exchange, CUTS[self.settings.by])
        embedded = None if self.embed is None else self.embed(exchange)
        found: dict[str, Attribution] = {}
        gaps: dict[str, float] = {}
        for name in self.settings.methods:
            with clock.stage(name):
                fine = self._attributed(name, target, exchange, into, embedded)
            gaps[name] = fine.relative_gap(self.spread)
            found[name] = fine.grouped(into) if fine.segments != into else fine
        with clock.stage("removals"):
            faithful = {k: faithfulness(target, exchange, one, seed) for k, one in found.items()}
            foretold = {k: infidelity(target, exchange, one, seed) for k, one in found.items()}
        with clock.stage("controls"):
            controls = self._controls(embedded, found, into) if control else ({}, {})
        return Case(exchange, found, gaps, faithful, foretold, *controls)

    def _attributed(
        self,
        name: str,
        target: Target,
        exchange: Exchange,
        into: Sequence[Span],
        embedded: Embedded | None,
    ) -> Attribution:
        settings = self.settings
        if name == "ablation":
            return ablation(target, exchange, into)
        if name == "kernel-shap":
            return kernel_shap(target, exchange, into, settings.seed)
        assert embedded is not None
        budget = settings.token_budget
        if name == "deeplift":
            return deeplift(embedded, budget)
        if name == "gradient-shap":
            return gradient_shap(embedded, self.spread, settings.tolerance, budget, settings.seed)
        return integrated_gradients(embedded, self.spread, settings.tolerance, budget)

    def _controls(
        self, embedded: Embedded | None, found: Mapping[str, Attribution], into: Sequence[Span]
    ) -> tuple[dict[str, float | None], dict[str, float | None]]:
        """Of Integrated Gradients: under a breath of noise, and under shuffled weights."""
        name = "integrated-gradients"
        if embedded is None or name not in found:
            return {}, {}
        seed, budget = self.settings.seed, self.settings.token_budget
        steps = found[name].evaluations
        with randomised(embedded, seed):
            control = integrated_gradients(embedded, 0.0, inf, budget, steps)
        agreement = rank_agreement(found[name], control.grouped(into))
        return {name: sensitivity(embedded, steps, seed, budget)}, {name: agreement}


def _report(
    run: RunFolder,
    settings: AttributeSettings,
    cases: Sequence[Case],
    answers: Explained,
    sd: float,
    clock: Clock,
) -> AttributionReport:
    mean = Mean(answers.prompt, settings.seed)
    methods = [method_row(name, cases, settings.tolerance, mean) for name in settings.methods]
    return AttributionReport(
        schema="irl.attribution/1",
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        settings=settings.model_dump(mode="json"),
        target=settings.target,
        by=settings.by,
        tolerance=settings.tolerance,
        target_sd=sd,
        methods=methods,
        agreements=agreements(settings.methods, cases, mean),
        caveats=_caveats(settings, methods),
        timings_seconds=dict(clock.seconds),
        peak_memory_bytes=peak_memory_bytes(),
    )


def _caveats(settings: AttributeSettings, methods: Sequence[AttributionMethod]) -> list[Caveat]:
    found = {
        "removal-off-distribution": "Removal asks about texts that lack words, which neither "
        "policy would often write; a log-ratio there is little evidence of the reward. All "
        "measures of faithfulness share this, and so favour ablation.",
        "some-answers": f"{settings.prompts} prompts at most were drawn at random, one answer of "
        "each policy to each; intervals are over prompts.",
    }
    if set(settings.methods) & set(BY_GRADIENT):
        found["gradients-see-reading"] = (
            "Gradients tell how reading a word changes the log-ratio of the words behind it; that "
            "the word itself was said is not in them. Ablation sees both."
        )
    poor = [one.method for one in methods if one.infidelity and one.infidelity.high >= 1]
    if poor:
        found["no-better-than-nothing"] = (
            f"What removals change is foretold by {', '.join(poor)} no better for certain than by "
            "values of nought (infidelity 1); do not read single words of a map by these."
        )
    if settings.target == "log-ratio":
        found["not-the-reward-of-a-word"] = (
            "A log-ratio tells where the policy decided. What words are paid is the fitted reward "
            "of the audit, and its target is `reward`."
        )
    return [Caveat(code=code, text=text) for code, text in found.items()]
