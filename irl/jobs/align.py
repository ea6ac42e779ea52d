"""The job `irl align`: a policy is optimised for a reward, and looked at while it is.

1. Load the reward, the policy and the prompts; some prompts are watched, the others trained on.
2. Train by TRL. Every few steps a look: gains of the reward, of its members and of gold, KL,
   entropy, length on the watched prompts; one line of steps.jsonl each, as it happens.
3. Warn where gains stop meaning what they meant; stop there if that was asked for.

A run that was killed goes on from its last whole checkpoint.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irl.config import Sampling
from irl.data import PromptRow, read_prompts
from irl.errors import InputError
from irl.jobs.align_settings import AlignSettings
from irl.jobs.encoding import encode_prompts, log_refused
from irl.jobs.named_reward import NamedReward, named_reward, reward_sha256
from irl.policies.checkpoint import files_sha256, locate
from irl.policies.load import load_full
from irl.policies.policy import Policy
from irl.policies.quiet import quiet_libraries
from irl.policies.template import PromptText, as_chat
from irl.records import AlignReport, AlignStep, Caveat
from irl.rewards.ensemble import Ensemble
from irl.rlhf.alarm import Warned, step_of, warned
from irl.rlhf.watch import Array, Look, Read, Rewards, Watch
from irl.runs import RunFolder, open_run, read_record

_LOG = logging.getLogger("irl")
_TRAINER, _LOOKS = "trainer", "looks"
CHECKPOINTS = "checkpoints"
"In the run folder"


@dataclass(frozen=True)
class AlignRun:
    """A finished alignment; the policy lies in the run's folder `policy`."""

    run: RunFolder
    report: AlignReport
    was_finished: bool

    @property
    def policy(self) -> Path:
        """Where the aligned policy lies."""
        return self.run.path / "policy"


def align(
    settings: AlignSettings | None = None,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    gold: Read | None = None,
    **given: Any,
) -> AlignRun:
    """Optimise a policy for a reward into a run folder; a finished run is returned as it is.

    Args:
        settings: all of them; None takes those that are `given` by name.
        out: the run folder; artifacts/runs/<run_id> if None.
        fresh: repeat a finished run.
        gold: (texts, prompts) to what is held to be true, where no stored reward says it; its name
            is all that tells one run from another.
        given: settings of `irl align`, such as reward, policy and prompts.

    Raises:
        InputError: the reward, prompts or settings cannot be used.
        PolicyError: the policy cannot be loaded.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    settings = settings or AlignSettings.checked(given)
    rewards, inputs = rewards_of(settings)
    if gold is not None:
        rewards = replace(rewards, gold=gold)
        inputs["gold"] = gold_name = str(getattr(gold, "__name__", gold))
        settings = settings.model_copy(update={"gold": gold_name})
    table = read_prompts(str(settings.prompts))
    location = locate(str(settings.policy))
    if location.adapter is not None:
        raise InputError(
            f"{settings.policy} is an adapter; merge it into a full checkpoint to train from it."
        )
    inputs |= {"policy": files_sha256(location.folder), "prompts": table.sha256}
    folder = None if out is None else Path(out)
    run = open_run("align", settings.model_dump(mode="json"), inputs, folder, fresh=fresh)
    if run.finished:
        report = read_record(run.path / "align.json", AlignReport)
        return AlignRun(run, report, was_finished=True)
    reference = load_full(location, settings.loading)
    room = reference.context_tokens - settings.max_new_tokens
    rows, _, refused = encode_prompts(
        table.rows, reference.tokenizer, room, settings.chat, table.source
    )
    log_refused(run, table.source, [*table.refused, *refused])
    watched, trained = _split(rows, settings)
    sampling = Sampling(
        responses_per_prompt=settings.watched_answers, max_new_tokens=settings.max_new_tokens
    )
    watch = Watch(reference, watched, rewards, sampling, settings.seed, settings.chat)
    policy = load_full(location, settings.loading)
    course = _Course(run, watch, policy, settings)
    _train(run, policy, trained, rewards, settings, course)
    report = course.report(settings, len(trained), len(watched))
    run.write_text("align.json", report.to_json())
    run.finish({"prompts": len(trained), "watched_prompts": len(watched), "steps": report.steps})
    return AlignRun(run, report, was_finished=False)


def rewards_of(settings: AlignSettings) -> tuple[Rewards, dict[str, str]]:
    """What is optimised, who watches and what is true, and the hashes of what they are.

    Raises:
        InputError: there is no such reward or member.
        PolicyError: a model cannot be loaded.
        RunError: there is no such run.
    """
    named = named_reward(str(settings.reward), loading=settings.loading)
    gold = None if settings.gold is None else named_reward(settings.gold)
    hashes = {"reward": reward_sha256(str(settings.reward))}
    if settings.gold is not None:
        hashes["gold"] = reward_sha256(settings.gold)
    reward = named.reward
    if not isinstance(reward, Ensemble):
        if settings.member is not None or settings.aggregation is not None:
            raise InputError(
                f"{settings.reward} is no ensemble, so there is nothing for --member or "
                "--aggregation to choose; leave them out."
            )
        return Rewards(named, lambda texts, prompts: named(texts, prompts)[None], gold), hashes
    if settings.aggregated is not None:
        named = NamedReward(named.name, reward.aggregated(settings.aggregated))
    members = _members(reward)
    if settings.member is None:
        return Rewards(named, members, gold), hashes
    if settings.member >= len(reward.centre):
        raise InputError(
            f"{settings.reward} has {len(reward.centre)} members; there is no member "
            f"{settings.member}, the first is 0."
        )
    at = settings.member
    return Rewards(lambda texts, prompts: members(texts, prompts)[at], members, gold), hashes


def _members(ensemble: Ensemble) -> Read:
    def read(texts: Sequence[str], prompts: Sequence[PromptText]) -> Array:
        scores: Array = ensemble.members(texts, prompts).double().numpy()
        return scores

    return read


def _split(
    rows: Sequence[PromptRow], settings: AlignSettings
) -> tuple[list[PromptText], list[PromptText]]:
    """Prompts that are watched, and those that are trained on."""
    prompts = [as_chat(row.prompt, settings.chat) for row in rows]
    if len({isinstance(prompt, str) for prompt in prompts}) > 1:
        raise InputError(
            "Some prompts are plain strings and some are messages; the trainer takes one kind. "
            "--set chat=always makes messages of all."
        )
    n = settings.watched_prompts
    if len(prompts) <= n:
        raise InputError(
            f"{len(prompts)} prompts can be read; {n} of them are watched, so there are too few to "
            "train on: give more prompts or a smaller --set watched_prompts."
        )
    order = np.random.default_rng(settings.seed).permutation(len(prompts))
    return [prompts[at] for at in order[:n]], [prompts[at] for at in order[n:]]


def _train(
    run: RunFolder,
    policy: Policy,
    prompts: Sequence[PromptText],
    rewards: Rewards,
    settings: AlignSettings,
    course: "_Course",
) -> None:
    # Loaded here alone: TRL takes seconds to import.
    from irl.rlhf.policy_training import Looking, Training, last_whole, optimise, step_at

    training = Training(
        beta=settings.beta,
        steps=settings.steps,
        seed=settings.seed,
        folder=run.parts / _TRAINER,
        learning_rate=settings.learning_rate,
        batch=settings.batch,
        answers_per_prompt=settings.answers_per_prompt,
        max_tokens=settings.max_new_tokens,
        warmup_steps=max(settings.steps // 12, 1),
        max_grad_norm=20.0,
        adam_beta2=0.999,
        adapter=settings.lora,
        method=settings.method,
        save_every=settings.watch_every,
    )
    found = last_whole(training.folder)
    began = 0 if found is None else step_at(found)
    course.go_on(began)
    run.log("resumed" if began else "training", step=began)

    def reward(asked: Sequence[Any], answers: Sequence[str]) -> list[float | None]:
        scores = rewards.proxy(answers, asked).tolist()
        return [score if np.isfinite(score) else None for score in scores]

    looking = Looking(course.look, settings.watch_every)
    aligned = optimise(policy.model, policy.tokenizer, prompts, reward, training, [looking])
    aligned.save_pretrained(str(run.path / "policy"))
    policy.tokenizer.save_pretrained(run.path / "policy")


class _Course:
    """The looks so far, and what was warned of."""

    def __init__(
        self, run: RunFolder, watch: Watch, policy: Policy, settings: AlignSettings
    ) -> None:
        self.run, self.watch, self.policy, self.settings = run, watch, policy, settings
        self.looks: list[Look] = []
        self.rows: list[AlignStep] = []
        self.warnings: list[Warned] = []

    def go_on(self, step: int) -> None:
        """Take up what a killed run had seen up to a step; later looks are taken again."""
        for file in sorted((self.run.parts / _LOOKS).glob("*.safetensors")):
            if (seen := int(file.stem)) <= step and step > 0:
                self._take(Look.load(seen, file))
            else:
                file.unlink()
        self._write()

    def look(self, step: int) -> bool:
        """Look at the policy; whether training should stop."""
        training = self.policy.model.training
        self.policy.model.eval()
        seen = self.watch.look(self.policy, step)
        self.policy.model.train(training)
        seen.save(self.run.parts / _LOOKS / f"{step:08}.safetensors")
        for new in self._take(seen):
            _LOG.warning("step %d: %s", step, new.text)
        self._write()
        if self.settings.keep_checkpoints and step > 0:
            self._keep(step)
        return self.settings.stop_on_warning and bool(self.warnings)

    def report(self, settings: AlignSettings, prompts: int, watched: int) -> AlignReport:
        """What the run comes to."""
        last = self.rows[-1]
        return AlignReport(
            run_id=self.run.run_id,
            reward=str(settings.reward),
            policy=str(settings.policy),
            gold=settings.gold,
            method=settings.method,
            beta=settings.beta,
            steps=last.step,
            stopped=last.step < settings.steps,
            prompts=prompts,
            watched_prompts=watched,
            last=last,
            caveats=tuple(
                Caveat(code=one.code, text=f"Step {one.step}: {one.text}") for one in self.warnings
            ),
        )

    def _take(self, look: Look) -> list[Warned]:
        self.looks.append(look)
        known = {one.code for one in self.warnings}
        new = [one for one in warned(self.looks, self.watch.baseline) if one.code not in known]
        self.warnings += new
        codes = [one.code for one in new]
        self.rows.append(step_of(look, self.watch.baseline, codes, self.settings.seed))
        return new

    def _keep(self, step: int) -> None:
        folder = self.run.path / CHECKPOINTS / f"checkpoint-{step}"
        self.policy.model.save_pretrained(str(folder))
        self.policy.tokenizer.save_pretrained(folder)

    def _write(self) -> None:
        lines = [row.model_dump_json() + "\n" for row in self.rows]
        self.run.write_text("steps.jsonl", "".join(lines))
