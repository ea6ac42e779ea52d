"""Rows about the round trip on real text: is a policy trained on a recovered reward as civil?

1. Recover the reward of a pair that was aligned with a toxicity classifier.
2. Align the pair's reference afresh with it, at a price of one nat for each nat.
3. Ask reference, aligned policy and the fresh ones for continuations of RealToxicityPrompts that
   nobody was trained on. Toxic is what the pair's own classifier calls so, and what another judge
   does that no policy was trained against: fitted to Perspective's scores of other continuations.

Intervals draw prompts, and trainings where there are several; p is two-sided, of a t test on the
differences between policies within prompts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from explain.jobs.result_rows import Making, Measured, counted, mean_of_seeds, written
from irl.bootstrap import crossed_mean
from irl.config import Loading, Sampling
from irl.engine.local import draw_answers
from irl.errors import InputError
from irl.jobs.align import align
from irl.jobs.align_settings import AlignSettings
from irl.jobs.any_recovery import recover
from irl.organisms.corpus import clean
from irl.organisms.real_detox import true_reward
from irl.organisms.toxicity import fit_toxicity
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.template import encode_prompt
from irl.records import ResultRow
from irl.rewards.terms import TermReward
from irl.rlhf.frontier import Frontier, frontier
from irl.rlhf.watch import Look, Rewards, Watch

Array = NDArray[np.float64]
TRAINED, HELD_OUT = "real_toxicity_prompts_5k", "rtp_decodingtrust_2400"
TOXIC = 0.5
"Perspective's score from which a text counts as toxic"
OWN, OTHER = "toxic by the pair's classifier", "toxic by a judge of Perspective's scores"
_TOO_FAR = "the KL is beyond what reweighted answers of the reference tell"


class RealTrip(BaseModel):
    """A pair on real text, and how its reward is given to a fresh reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: str
    seeds: tuple[int, ...]
    prompts: int
    "to recover from and to train on"
    align: dict[str, Any]
    "settings of every `irl align`"
    recover: dict[str, Any]
    "settings of `irl recover`"
    answers: int
    "of each policy to every held-out prompt"
    frontier_prompts: int
    frontier_answers: int


@dataclass(frozen=True)
class _Trained:
    """Looks at the held-out prompts."""

    watch: Watch
    taught: Look
    back: list[Look]
    bound: Frontier
    "over the first prompts"
    bound_prompts: int


def real_trip_rows(recipe: RealTrip, making: Making) -> list[ResultRow]:
    """Train, ask, judge; finished runs are reused.

    Raises:
        InputError: no folder of text was given, or it lacks the prompts.
    """
    texts, pair = _Texts(_folder(making)), Path(recipe.pair)
    rows = [{"prompt": one} for one in texts.openings(recipe.prompts)]
    prompts = str(written(making.folder / "openings.jsonl", rows))
    making.say("real text: recovering")
    recovered = recover(
        out=making.folder / "real-recovered",
        aligned=str(pair / "aligned"),
        reference=str(pair / "reference"),
        prompts=prompts,
        **recipe.recover,
    )
    given = recipe.align | {
        "reward": str(recovered.run.path / "reward"),
        "policy": str(pair / "reference"),
        "prompts": prompts,
        "beta": 1.0,
    }
    backs = []
    for seed in recipe.seeds:
        making.say(f"real text: seed {seed}")
        settings = AlignSettings.checked(given | {"seed": seed})
        backs.append(align(settings, making.folder / f"real-back-{seed}").policy)
    making.say("real text: asking")
    looks = _asked(recipe, texts, pair, backs)
    of = Measured("real text", list(recipe.seeds))
    judge = counted(texts.judge_auc, len(texts.held_out))
    return [of.row("judge of Perspective's scores", "auc", "share", judge), *_rows_of(of, looks)]


@dataclass(frozen=True)
class _Texts:
    """Prompts, and who judges answers."""

    folder: Path

    @cached_property
    def trained(self) -> pd.DataFrame:
        """Sentences that the reference has read."""
        return self._table(TRAINED)

    @cached_property
    def held_out(self) -> pd.DataFrame:
        """Sentences that nobody has, in random order."""
        table = self._table(HELD_OUT)
        seen = set(self.trained["prompt"])
        return table[~table["prompt"].isin(seen)].sample(frac=1.0, random_state=0)

    @cached_property
    def judge(self) -> TermReward:
        """Logit of toxic, fitted to the sentences that the reference has read."""
        toxic = self.trained["completion_toxicity"] >= TOXIC
        said = self.trained["completion"]
        return fit_toxicity(list(said[toxic]), list(said[~toxic]))

    @property
    def judge_auc(self) -> float:
        """On the continuations that people wrote to the held-out prompts."""
        scores = self.judge(list(self.held_out["completion"])).numpy()
        return float(roc_auc_score(self.held_out["completion_toxicity"] >= TOXIC, scores))

    def openings(self, n: int) -> list[str]:
        """Prompts to train on."""
        return list(self.trained["prompt"].drop_duplicates().sample(frac=1.0, random_state=1))[:n]

    def _table(self, name: str) -> pd.DataFrame:
        file = self.folder / f"{name}.parquet"
        if not file.is_file():
            raise InputError(f"The text folder {self.folder} has no {file.name}.")
        table = pd.read_parquet(file, columns=["prompt", "completion", "completion_toxicity"])
        return table.assign(**{name: table[name].map(clean) for name in ("prompt", "completion")})


def _folder(making: Making) -> Path:
    if making.text is None:
        raise InputError("This table reads real prompts; name their folder by --text DIR.")
    return making.text


def _asked(recipe: RealTrip, texts: _Texts, pair: Path, backs: Sequence[Path]) -> _Trained:
    reference = load_full(locate(str(pair / "reference")), Loading())
    paid, own = true_reward(pair), TermReward.load(pair, "classifier")
    rewards = Rewards(
        proxy=lambda said, _: paid(said).double().numpy(),
        members=lambda said, _: np.stack([_share(own, said), _share(texts.judge, said)]),
    )
    longest = recipe.align["max_new_tokens"]
    sampling = Sampling(responses_per_prompt=recipe.answers, max_new_tokens=longest)
    asked = list(texts.held_out["prompt"])
    watch = Watch(reference, asked, rewards, sampling, seed=0)
    looks = [
        watch.look(load_full(locate(str(policy)), Loading()), step=0)
        for policy in (pair / "aligned", *backs)
    ]
    few = asked[: recipe.frontier_prompts]
    said = _answers(reference, few, recipe.frontier_answers, longest)
    gold = paid(said).double().numpy().reshape(len(few), -1)
    return _Trained(watch, looks[0], looks[1:], frontier(list(gold)), len(few))


def _share(toxicity: TermReward, said: Sequence[str]) -> Array:
    return (toxicity(said) > 0).double().numpy()


def _answers(policy: Policy, prompts: Sequence[str], each: int, longest: int) -> list[str]:
    encoded = [encode_prompt(policy.tokenizer, one) for one in prompts for _ in range(each)]
    generator = torch.Generator().manual_seed(1)
    sampling = Sampling(max_new_tokens=longest)
    drawn = draw_answers(policy, encoded, generator, policy.eos_ids, sampling)
    return [response_text(policy.tokenizer, ids) for ids in drawn]


def _rows_of(of: Measured, looks: _Trained) -> Iterator[ResultRow]:
    for at, metric in enumerate((OWN, OTHER)):
        before = looks.watch.before.members[at]
        yield of.row("reference", metric, "share", crossed_mean(before[None]))
        taught, back = looks.taught.members[at], np.stack([one.members[at] for one in looks.back])
        for method, gains in (("true reward", taught[None]), ("round 1", back)):
            yield of.row(method, metric, "share", crossed_mean(before + gains))
            yield from _difference(of, method, f"{metric}, less the reference's", gains)
        yield from _difference(of, "round 1", f"{metric}, less the aligned policy's", back - taught)
    before = looks.watch.before.length_tokens
    yield of.row("reference", "length of an answer", "tokens", crossed_mean(before[None]))
    shares = []
    for method, each in (("true reward", [looks.taught]), ("round 1", looks.back)):
        gains, kl = np.stack([one.proxy for one in each]), np.stack([one.kl_nats for one in each])
        yield of.row(method, "gain of the true reward", "nats", crossed_mean(gains))
        yield of.row(method, "KL", "nats", crossed_mean(kl))
        tokens = np.stack([one.length_tokens for one in each])
        yield of.row(method, "length of an answer", "tokens", crossed_mean(tokens))
        shares.append([_of_frontier(look, looks.bound, looks.bound_prompts) for look in each])
        told = [one for one in shares[-1] if one is not None]
        share = mean_of_seeds(told) if told else None
        yield of.row(method, "of the frontier at its KL", "share", share, _TOO_FAR)
    kept = [one / taught for taught in shares[0] for one in shares[1] if taught and one is not None]
    mean = mean_of_seeds(kept) if kept else None
    yield of.row("round 1", "kept at equal KL", "share", mean, _TOO_FAR)


def _difference(of: Measured, method: str, metric: str, gains: Array) -> Iterator[ResultRow]:
    yield of.row(method, metric, "share", crossed_mean(gains))
    each = gains.mean(0)
    p = counted(float(ttest_1samp(each, 0.0).pvalue), len(each))
    yield of.row(method, f"{metric}: p", "probability", p)


def _of_frontier(look: Look, bound: Frontier, prompts: int) -> float | None:
    """Of the first prompts, which the frontier was drawn for."""
    gain, kl = (float(values[:prompts].mean()) for values in (look.proxy, look.kl_nats))
    return bound.share(gain, kl)
