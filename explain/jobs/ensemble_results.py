"""Rows about ensembles: what members, aggregation and robust losses are worth under wrong labels.

Gold known: answers of the language world's reference; pairs of them are labelled by a planted
reward and some labels flipped; members read the reference's own mean hidden states. Every ensemble
of E members is judged by best-of-n on answers to other prompts; of ten members all disjoint groups
of E are averaged. Trainings see preferences of their own, and for the intervals trainings and
prompts are both drawn again. Members that were stopped where they began say nothing; they are
counted and left out.

Real pairs: two answers a prompt and no gold; of the training half some labels are flipped, the
other half judges as it was labelled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from explain.jobs.result_rows import Making, Measured, counted
from irl.bootstrap import crossed_mean
from irl.data import read_preferences
from irl.ensembles.pairs import Pairs, pairs_of
from irl.ensembles.training import Loss, Training, members
from irl.errors import InputError
from irl.evaluation.abstention import abstention
from irl.evaluation.pair_figures import disagreement, figures
from irl.jobs.ensemble import aggregate_margins, fit_members, margins_of, standardised
from irl.jobs.ensemble_settings import EnsembleSettings, Members
from irl.organisms.answers_of_world import Preferences, WorldAnswers, world_answers
from irl.records import ResultRow
from irl.rewards.aggregation import Aggregation
from irl.rlhf.best_of_n import best_of_n, curve, kl_nats
from irl.rlhf.over_optimisation import fit_form

Array = NDArray[np.float64]
SIZES = (1, 3, 5, 10)
KINDS = (Aggregation("mean"), Aggregation("min"), Aggregation("uwo"))
ROBUST: tuple[Loss, ...] = ("absolute", "generalised")


class EnsemblesRecipe(BaseModel):
    """Which worlds, which pairs, and how much noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ensembles"]
    seed: int
    objectives: tuple[str, ...]
    "of the language world"
    flips: tuple[float, ...]
    trainings: int
    "each on preferences of its own"
    training_prompts: int
    "of one training, two pairs each"
    judging_prompts: int
    answers: int
    "to each judging prompt"
    ns: tuple[int, ...]
    "of best-of-n, the first 1: the policy itself"
    learning: dict[str, Any] = {}
    real: tuple[str, ...] = ()
    "Parquet files of preferences in the folder of text"
    real_pairs: int = 1500


def ensemble_rows(recipe: EnsemblesRecipe, making: Making) -> list[ResultRow]:
    """Every ensemble at every share of flipped labels.

    Raises:
        InputError: real pairs are named and their folder is not.
    """
    if recipe.real and making.text is None:
        raise InputError("This recipe reads real preference pairs; give their folder with --text.")
    making.say("drawing answers of the reference")
    drawn = recipe.trainings * recipe.training_prompts, recipe.judging_prompts, recipe.answers
    answers = world_answers(recipe.seed, *drawn)
    rows: list[ResultRow] = []
    for objective in recipe.objectives:
        rows += _bounds(answers, objective, recipe)
        for share in recipe.flips:
            making.say(f"{objective}: {share:.0%} flipped")
            rows += _of_world(answers, objective, share, recipe)
    for name in recipe.real:
        assert making.text is not None
        for share in recipe.flips:
            making.say(f"{name}: {share:.0%} flipped")
            rows += _of_pairs(making.text / f"{name}.parquet", share, recipe)
    return rows


@dataclass(frozen=True)
class _Curves:
    """Gold and proxy [training, prompt, n], averaged over groups of members."""

    gold: Array
    proxy: Array


def _bounds(answers: WorldAnswers, objective: str, recipe: EnsemblesRecipe) -> Iterator[ResultRow]:
    gold = answers.gold(objective)
    _, best = curve(gold, gold, recipe.ns)
    for n, estimate in zip(recipe.ns[1:], best[1:], strict=True):
        yield Measured(objective, [recipe.seed]).row(
            "gold itself", f"gold, best of {n}", "sd of gold", estimate
        )


def _of_world(
    answers: WorldAnswers, objective: str, share: float, recipe: EnsemblesRecipe
) -> Iterator[ResultRow]:
    of = Measured(f"{objective}, {share:.0%} of labels flipped", [recipe.seed])
    gold, parts = answers.gold(objective), recipe.trainings
    pairs = [answers.preferred(objective, part, parts) for part in range(parts)]
    losses: tuple[Loss, ...] = ("bradley-terry", *ROBUST)
    scores = {
        loss: [
            _scores(_wrong(some, share, 1000 * recipe.seed + at), answers, at, loss, recipe)
            for at, some in enumerate(pairs)
        ]
        for loss in losses
    }
    plain = scores["bradley-terry"]
    found = {
        (size, str(kind)): _curves(plain, size, kind, gold, recipe)
        for size in SIZES
        for kind in (KINDS if size > 1 else KINDS[:1])
    }
    for loss in ROBUST:
        for size in (10, 1):
            found[size, f"mean, {loss} loss"] = _curves(scores[loss], size, KINDS[0], gold, recipe)
    for loss, every in scores.items():
        dead = sum(int(one.isnan().any(1).sum()) for one in every)
        n = 10 * recipe.trainings
        yield of.row(f"one member, {loss} loss", "that learnt nothing", "members", counted(dead, n))
    for (size, kind), curves in found.items():
        method = f"{size} members, {kind}" if size > 1 else f"one member{kind[4:]}"
        yield from _curve_rows(of, method, curves, found[1, "mean"], recipe)


def _wrong(pairs: Preferences, share: float, seed: int) -> Preferences:
    """The same with a share of the labels the wrong way round."""
    generator = torch.Generator().manual_seed(seed)
    swap = (torch.rand(len(pairs.chosen), generator=generator) < share)[:, None]
    chosen = torch.where(swap, pairs.rejected, pairs.chosen)
    rejected = torch.where(swap, pairs.chosen, pairs.rejected)
    return replace(pairs, chosen=chosen, rejected=rejected)


def _scores(
    pairs: Preferences, answers: WorldAnswers, training: int, loss: Loss, recipe: EnsemblesRecipe
) -> Tensor:
    """Standardised scores of ten members of all judged answers, [member, answer]."""
    learning = Members(seeds=tuple(range(100 * training, 100 * training + 10)), **recipe.learning)
    how = Training("mlp", loss, (64,), bootstrap=True, learning=learning)
    head = members(pairs.chosen, pairs.rejected, pairs.cluster.numpy(), how)
    with torch.no_grad():
        raw, known = head(answers.features), head(torch.cat([pairs.chosen, pairs.rejected]))
    spread = known.std(1, correction=0, keepdim=True)
    # NaN where a member learnt nothing: left out of its ensembles, as everywhere.
    return (raw - known.mean(1, keepdim=True)) / torch.where(spread > 0, spread, torch.nan)


def _curves(
    trainings: list[Tensor],
    size: int,
    kind: Aggregation,
    gold: list[Array],
    recipe: EnsemblesRecipe,
) -> _Curves:
    """NaN for a training of which nothing was learnt."""
    every = []
    for scores in trainings:
        groups = [group[group.isfinite().all(1)] for group in scores.split(size)[: 10 // size]]
        found = [_picked(kind(group), gold, recipe) for group in groups if len(group)]
        nothing = np.full((2, len(gold), len(recipe.ns)), np.nan)
        every.append(np.mean(found, axis=0) if found else nothing)
    return _Curves(*np.stack(every, axis=1))


def _picked(proxy: Tensor, gold: list[Array], recipe: EnsemblesRecipe) -> Array:
    """Of the answers that a proxy picks: gold, and the proxy itself, [2, prompt, n]."""
    each = list(proxy.double().view(len(gold), -1).numpy())
    return np.array(
        [
            [best_of_n(*both, recipe.ns) for both in zip(each, values, strict=True)]
            for values in (gold, each)
        ]
    )


def _curve_rows(
    of: Measured, method: str, curves: _Curves, single: _Curves, recipe: EnsemblesRecipe
) -> Iterator[ResultRow]:
    learnt = np.isfinite(curves.gold).all((1, 2)) & np.isfinite(single.gold).all((1, 2))
    gold, proxy, alone = (one[learnt] for one in (curves.gold, curves.proxy, single.gold))
    reason, most = "no member learnt anything", recipe.ns[-1]
    for at, n in list(enumerate(recipe.ns))[1:]:  # the first is the policy itself: 0
        best = crossed_mean(gold[..., at])
        yield of.row(method, f"gold, best of {n}", "sd of gold", best, reason)
    top = crossed_mean(proxy[..., -1])
    yield of.row(method, f"proxy, best of {most}", "sd of proxy", top, reason)
    if curves is not single:
        gain = crossed_mean(gold[..., -1] - alone[..., -1])
        yield of.row(method, f"gold, best of {most}, less one member's", "sd of gold", gain, reason)
    if not learnt.any():
        return
    form = fit_form(gold, np.array([kl_nats(n) for n in recipe.ns]))
    yield of.row(method, "alpha of d (alpha - beta d)", "sd of gold / sqrt nats", form.alpha)
    yield of.row(method, "beta of d (alpha - beta d)", "sd of gold / nats", form.beta)
    peak = form.peak_kl_nats
    reason = "the fitted form does not turn in every draw of the prompts and trainings"
    yield of.row(method, "KL at which gold is highest", "nats", peak, reason)


def _of_pairs(file: Path, share: float, recipe: EnsemblesRecipe) -> Iterator[ResultRow]:
    of = Measured(f"{file.stem}, {share:.0%} of training labels flipped", [recipe.seed])
    pairs = _some(pairs_of(read_preferences(str(file)).rows), recipe)
    judging = pairs.cluster % 2 == 1
    generator = np.random.default_rng(recipe.seed)
    wrong = (generator.random(len(pairs)) < share) & ~judging
    judged = pairs.at(judging)
    for loss in ("bradley-terry", *ROBUST):
        settings = EnsembleSettings(
            preferences=str(file), form="linear", loss=loss, learning=Members(**recipe.learning)
        )
        reward, _ = fit_members(pairs.flipped(wrong), ~judging, settings)
        said = "" if loss == "bradley-terry" else f", {loss} loss"
        try:
            ensemble = standardised(reward, pairs.at(~judging), settings)
        except InputError as error:  # at such noise nothing may have been learnt
            yield of.row(f"10 members, mean{said}", "pair accuracy", "share", None, str(error))
            continue
        single = margins_of(ensemble, judged)
        scorers: dict[str, Array] = {f"one member{said}": single}
        for kind in KINDS if not said else KINDS[:1]:
            margins = aggregate_margins(ensemble, judged, kind)
            scorers[f"10 members, {kind}{said}"] = margins
        for method, margins in scorers.items():
            yield from _pair_rows(of, method, margins, judged)
        if not said:
            about = disagreement(single, scorers["10 members, mean"], judged.cluster)
            finds = "AUC with which {} finds errors"
            spread, small = about.auc_of_errors, about.auc_of_small_margins
            yield of.row("10 members, mean", finds.format("disagreement"), "share", spread)
            yield of.row("10 members, mean", finds.format("a small margin"), "share", small)


def _pair_rows(of: Measured, method: str, margins: Array, judged: Pairs) -> Iterator[ResultRow]:
    found = figures(method, margins, judged.cluster)
    yield of.row(method, "pair accuracy", "share", found.accuracy)
    if margins.ndim > 1:
        return
    yield of.row(method, "ECE", "share", found.ece, "it ranks against its labels on some fold")
    rows = abstention(margins, judged.cluster, (0.9,))
    reason = "too few pairs, or no odds"
    answered = rows[0].answered if rows else None
    right = rows[0].accuracy_answered if rows else None
    yield of.row(method, "answered at 90 % confidence", "share", answered, reason)
    yield of.row(method, "accuracy of the answered", "share", right, reason)


def _some(pairs: Pairs, recipe: EnsemblesRecipe) -> Pairs:
    order = np.random.default_rng(recipe.seed).permutation(len(pairs))
    return pairs.at(np.isin(np.arange(len(pairs)), order[: recipe.real_pairs]))
