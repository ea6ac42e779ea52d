"""The job `irl extrapolate`: what lies beyond an aligned policy on the line that leads to it.

A reward that was recovered at alpha 0 is judged elsewhere on the line: gains of it, of gold where
that is known and of declared aspects, beside KL, for the line through the weights (ExPO,
2404.16792), for random directions of the same length, and for the mixture of logits. That the
reward rises along the line does not show that it is right: the log-ratio rises at its own policy by
construction. What random directions do not do, the line's direction does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pydantic import Field, model_validator

from explain.aspect_files import AspectSet
from explain.aspect_measures import measured
from explain.exchange import Exchange
from explain.jobs.aspects import declared_aspects
from explain.jobs.result_rows import mean_of_seeds
from irl.config import Chat, Loading, Sampling, Settings
from irl.data import read_prompts
from irl.jobs.encoding import encode_prompts, log_refused
from irl.jobs.named_reward import named_reward, reward_sha256
from irl.policies.checkpoint import files_sha256, locate
from irl.policies.logit_path import sample_mixture
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.policy import Policy
from irl.policies.quiet import quiet_libraries
from irl.policies.template import PromptText
from irl.policies.weight_path import WeightPath
from irl.records import Caveat, Estimate, ExtrapolationReport, PathPoint
from irl.rlhf.alarm import mean_of_prompts
from irl.rlhf.watch import Array, Look, Rewards, Watch
from irl.runs import RunFolder, open_run, read_record

ALPHAS = tuple(float(alpha) for alpha in np.arange(-1, 1.51, 0.25))
Progress = Callable[[str], None]


class ExtrapolationSettings(Settings):
    """What extrapolation needs."""

    aligned: str | None = None
    reference: str | None = None
    prompts: str | None = None
    reward: str | None = None
    "recovered from this very pair: a run that stored it, or a reward model's directory"
    gold: str | None = None
    "a reward that is held to be true"
    aspects: str | None = None
    "aspects.yaml; None is the stock set"
    allow_code: bool = False
    alphas: tuple[float, ...] = Field(ALPHAS, min_length=1)
    random_directions: int = Field(2, ge=0)
    logits: bool = True
    "also the token-level mixture; both models are in memory for it"
    prompt_limit: int | None = Field(48, ge=2)
    answers: int = Field(4, ge=2)
    max_new_tokens: int = Field(48, ge=1)
    chat: Chat = "auto"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> "ExtrapolationSettings":
        for name in ("aligned", "reference", "prompts"):
            if getattr(self, name) is None:
                raise ValueError(f"give --{name}")
        if self.reward is None:
            raise ValueError(
                "give --reward, fitted to this pair; `irl recover` stores one in its run folder"
            )
        return self


@dataclass(frozen=True)
class ExtrapolationRun:
    """A finished extrapolation."""

    run: RunFolder
    report: ExtrapolationReport
    was_finished: bool


def extrapolate(
    settings: ExtrapolationSettings | None = None,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    say: Progress = lambda _: None,
    **given: Any,
) -> ExtrapolationRun:
    """Walk the lines through a pair into a run folder; a finished run is returned as it is.

    Raises:
        InputError: the prompts, reward, aspects or settings cannot be used.
        PolicyError: the pair cannot be loaded, or a side is an adapter.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    settings = settings or ExtrapolationSettings.checked(given)
    aspects = declared_aspects(settings.aspects, allow_code=settings.allow_code)
    table = read_prompts(str(settings.prompts))
    inputs = _inputs(settings, aspects, table.sha256)
    folder = None if out is None else Path(out)
    run = open_run("extrapolate", settings.model_dump(mode="json"), inputs, folder, fresh=fresh)
    if run.finished:
        kept = read_record(run.path / "extrapolation.json", ExtrapolationReport)
        return ExtrapolationRun(run, kept, was_finished=True)
    with TemporaryDirectory() as scratch:
        line = WeightPath(str(settings.aligned), str(settings.reference), Path(scratch))
        reference = line.at(-1.0)
        room = reference.context_tokens - settings.max_new_tokens
        asked = table.rows[: settings.prompt_limit]
        rows, _, refused = encode_prompts(
            asked, reference.tokenizer, room, settings.chat, table.source
        )
        log_refused(run, table.source, [*table.refused, *refused])
        watch = _watch(reference, [row.prompt for row in rows], aspects, settings)
        points = [
            _point(path, alpha, look, aspects, settings.seed)
            for path, alpha, look in _walked(line, watch, settings, say)
        ]
    report = ExtrapolationReport(
        run_id=run.run_id,
        reward=str(settings.reward),
        gold=settings.gold,
        prompts=len(rows),
        reference_length_tokens=watch.baseline.length_tokens,
        points=points,
        random_gain=_random_gain(points),
        caveats=(_BY_CONSTRUCTION,),
    )
    run.write_text("extrapolation.json", report.to_json())
    run.finish({"prompts": len(rows), "points": len(points)})
    return ExtrapolationRun(run, report, was_finished=False)


_BY_CONSTRUCTION = Caveat(
    code="rises-by-construction",
    text="A recovered reward rises towards the policy that it was read from whatever is true; read "
    "it beside KL, gold and the random directions.",
)


def _inputs(settings: ExtrapolationSettings, aspects: AspectSet, prompts: str) -> dict[str, str]:
    named = {"reward": settings.reward, "gold": settings.gold}
    hashes = {name: reward_sha256(source) for name, source in named.items() if source is not None}
    for name, source in (("aligned", settings.aligned), ("reference", settings.reference)):
        hashes[name] = files_sha256(locate(str(source)).folder)
    return hashes | {"prompts": prompts, "aspects": aspects.sha256}


def _watch(
    reference: Policy,
    prompts: Sequence[PromptText],
    aspects: AspectSet,
    settings: ExtrapolationSettings,
) -> Watch:
    def measures(texts: Sequence[str], asked: Sequence[PromptText]) -> Array:
        exchanges = [Exchange(_stored(p), t) for p, t in zip(asked, texts, strict=True)]
        return measured(aspects.aspects, exchanges).T

    gold = None if settings.gold is None else named_reward(settings.gold)
    rewards = Rewards(named_reward(str(settings.reward)), measures, gold)
    sampling = Sampling(
        responses_per_prompt=settings.answers, max_new_tokens=settings.max_new_tokens
    )
    return Watch(reference, prompts, rewards, sampling, settings.seed, settings.chat)


def _stored(prompt: PromptText) -> Any:
    return prompt if isinstance(prompt, str) else tuple(dict(message) for message in prompt)


def _walked(
    line: WeightPath, watch: Watch, settings: ExtrapolationSettings, say: Progress
) -> Iterator[tuple[str, float, Look]]:
    for alpha in settings.alphas:
        say(f"weights, alpha {alpha:g}")
        yield "weights", alpha, watch.look(line.at(alpha), 0)
    for direction in range(settings.random_directions):
        for alpha in settings.alphas:
            if alpha:  # 0 is the aligned policy, whatever the direction
                say(f"random direction {direction}, alpha {alpha:g}")
                yield f"random {direction}", alpha, watch.look(line.at(alpha, direction), 0)
    if settings.logits:
        pair = load_pair(str(settings.aligned), str(settings.reference), Loading())
        for alpha in settings.alphas:
            say(f"logits, alpha {alpha:g}")
            yield "logits", alpha, _mixture(pair, watch, alpha, settings)


def _mixture(pair: PolicyPair, watch: Watch, alpha: float, settings: ExtrapolationSettings) -> Look:
    generator = torch.Generator().manual_seed(settings.seed)
    drawn = sample_mixture(pair, watch.encoded, alpha, generator, settings.max_new_tokens)
    ours = np.array([one.nats for one in drawn])
    theirs = np.array([one.reference_nats for one in drawn])
    return watch.seen([one.ids for one in drawn], ours, theirs, 0)


def _point(path: str, alpha: float, look: Look, aspects: AspectSet, seed: int) -> PathPoint:
    return PathPoint(
        path=path,
        alpha=alpha,
        reward=mean_of_prompts(look.proxy, seed),
        gold=None if look.gold is None else mean_of_prompts(look.gold, seed),
        kl_nats=mean_of_prompts(look.kl_nats, seed),
        entropy_nats=mean_of_prompts(look.entropy_nats, seed),
        length_tokens=mean_of_prompts(look.length_tokens, seed),
        aspects={
            name: mean_of_prompts(gains, seed)
            for name, gains in zip(aspects.names, look.members, strict=True)
        },
    )


def _random_gain(points: Sequence[PathPoint]) -> Estimate | None:
    """Of the reward over the aligned policy, mean over alphas above 0 of each direction."""
    aligned = [at.reward.value for at in points if at.path == "weights" and at.alpha == 0]
    names = sorted({at.path for at in points if at.path.startswith("random")})
    beyond = [
        [at.reward.value for at in points if at.path == name and at.alpha > 0] for name in names
    ]
    if not aligned or not names or not beyond[0]:
        return None
    return mean_of_seeds([float(np.mean(gains)) - aligned[0] for gains in beyond])
