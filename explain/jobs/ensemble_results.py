"""Rows about ensembles: what members, aggregation and robust losses are worth under wrong labels.

Gold known: answers of the language world's reference; pairs of them are labelled by a planted
reward and some labels flipped; members read the reference's own mean hidden states. Every ensemble
of E members is judged by best-of-n on answers to other prompts; of ten members all disjoint groups
of E are averaged, and so are several trainings, before prompts are drawn again for the intervals:
these say how another sample of prompts would differ, not other preferences. Members that were
stopped where they began say nothing; they are counted and left out.

Real pairs: two answers a prompt and no gold; of the training half some labels are flipped, the
other half judges as it was labelled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from explain.jobs.result_rows import Making, Measured, counted
from irl.bootstrap import from_sums, ratio
from irl.data import read_preferences
from irl.ensembles.pairs import Pairs, pairs_of
from irl.ensembles.training import Training, members
from irl.errors import InputError
from irl.evaluation.abstention import abstention
from irl.evaluation.pair_figures import disagreement, figures
from irl.jobs.ensemble import aggregate_margins, fit_members, margins_of, standardised
from irl.jobs.ensemble_settings import EnsembleSettings, Members
from irl.organisms.answers_of_world import WorldAnswers, world_answers
from irl.records import Estimate, ResultRow
from irl.rewards.aggregation import Aggregation
from irl.rlhf.best_of_n import curve, kl_nats
from irl.rlhf.over_optimisation import fit_form

Array = NDArray[np.float64]
SIZES = (1, 3, 5, 10)
KINDS = (Aggregation("mean"), Aggregation("min"), Aggregation("uwo"))
ROBUST: tuple[Any, ...] = ("absolute", "generalised")


class EnsemblesRecipe(BaseModel):
    """Which worlds, which pairs, and how much noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ensembles"]
    seed: int
    objective: str
    "of the language world"
    flips: tuple[float, ...]
    trainings: int
    training_prompts: int
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
    answers = world_answers(
        recipe.seed,
        recipe.objective,
        (recipe.training_prompts, recipe.judging_prompts, recipe.answers),
    )
    rows = list(_bounds(answers, recipe))
    for share in recipe.flips:
        making.say(f"{recipe.objective}: {share:.0%} flipped")
        rows += _of_world(answers, share, recipe)
    for name in recipe.real:
        assert making.text is not None
        for share in recipe.flips:
            making.say(f"{name}: {share:.0%} flipped")
            rows += _of_pairs(making.text / f"{name}.parquet", share, recipe)
    return rows


@dataclass(frozen=True)
class _Curves:
    """Gold and proxy [prompt, n], averaged over groups of members and over trainings."""

    gold: Array
    proxy: Array


def _bounds(answers: WorldAnswers, recipe: EnsemblesRecipe) -> Iterator[ResultRow]:
    of = Measured(f"{recipe.objective}", [recipe.seed])
    _, best = curve(answers.gold, answers.gold, recipe.ns)
    for n, estimate in zip(recipe.ns[1:], best[1:], strict=True):
        yield of.row("gold itself", f"gold, best of {n}", "sd of gold", estimate)


def _of_world(answers: WorldAnswers, share: float, recipe: EnsemblesRecipe) -> Iterator[ResultRow]:
    of = Measured(f"{recipe.objective}, {share:.0%} of labels flipped", [recipe.seed])
    scores = {
        loss: [_scores(answers, share, loss, at, recipe) for at in range(recipe.trainings)]
        for loss in ("bradley-terry", *ROBUST)
    }
    plain = scores["bradley-terry"]
    found = {
        (size, str(kind)): _curves(plain, size, kind, answers, recipe)
        for size in SIZES
        for kind in (KINDS if size > 1 else KINDS[:1])
    }
    for loss in ROBUST:
        found[10, f"mean, {loss} loss"] = _curves(scores[loss], 10, KINDS[0], answers, recipe)
        found[1, f"mean, {loss} loss"] = _curves(scores[loss], 1, KINDS[0], answers, recipe)
    single = found[1, "mean"]
    for loss, every in scores.items():
        dead = sum(int(one.isnan().any(1).sum()) for one in every)
        n = 10 * recipe.trainings
        yield of.row(f"one member, {loss} loss", "that learnt nothing", "members", counted(dead, n))
    for (size, kind), curves in found.items():
        method = f"{size} members, {kind}" if size > 1 else f"one member{kind[4:]}"
        yield from _curve_rows(of, method, curves, single, recipe)


def _scores(
    answers: WorldAnswers, share: float, loss: Any, training: int, recipe: EnsemblesRecipe
) -> Tensor:
    """Standardised scores of ten members of all judged answers, [member, answer]."""
    generator = torch.Generator().manual_seed(1000 * recipe.seed + training)
    n = len(answers.chosen)
    at = torch.randperm(n, generator=generator)[: 4 * n // 5]
    swap = (torch.rand(len(at), generator=generator) < share)[:, None]
    better, worse = answers.chosen[at], answers.rejected[at]
    chosen, rejected = torch.where(swap, worse, better), torch.where(swap, better, worse)
    cluster = answers.cluster[at].unique(return_inverse=True)[1]
    learning = Members(seeds=tuple(range(100 * training, 100 * training + 10)), **recipe.learning)
    how = Training("mlp", loss, (64,), bootstrap=True, learning=learning)
    head = members(chosen, rejected, cluster.numpy(), how)
    with torch.no_grad():
        raw, known = head(answers.features), head(torch.cat([chosen, rejected])[:512])
    spread = known.std(1, correction=0, keepdim=True)
    # NaN where a member learnt nothing: left out of its ensembles, as everywhere.
    return (raw - known.mean(1, keepdim=True)) / torch.where(spread > 0, spread, torch.nan)


def _curves(
    trainings: list[Tensor],
    size: int,
    kind: Aggregation,
    answers: WorldAnswers,
    recipe: EnsemblesRecipe,
) -> _Curves:
    gold, proxy = [], []
    for scores in trainings:
        for group in scores.split(size)[: 10 // size]:
            group = group[group.isfinite().all(1)]
            if not len(group):
                continue
            each = list(kind(group).double().view(len(answers.gold), -1).numpy())
            gold.append(curve(each, answers.gold, recipe.ns)[0])
            proxy.append(curve(each, each, recipe.ns)[0])
    return _Curves(np.mean(gold, axis=0), np.mean(proxy, axis=0))


def _curve_rows(
    of: Measured, method: str, curves: _Curves, single: _Curves, recipe: EnsemblesRecipe
) -> Iterator[ResultRow]:
    for at, n in list(enumerate(recipe.ns))[1:]:  # the first is the policy itself: 0
        yield of.row(method, f"gold, best of {n}", "sd of gold", _mean(curves.gold[:, at]))
    most = recipe.ns[-1]
    yield of.row(method, f"proxy, best of {most}", "sd of proxy", _mean(curves.proxy[:, -1]))
    if curves is not single:
        gain = _mean(curves.gold[:, -1] - single.gold[:, -1])
        yield of.row(method, f"gold, best of {most}, less one member's", "sd of gold", gain)
    form = fit_form(curves.gold, np.array([kl_nats(n) for n in recipe.ns]))
    yield of.row(method, "alpha of d (alpha - beta d)", "sd of gold / sqrt nats", form.alpha)
    yield of.row(method, "beta of d (alpha - beta d)", "sd of gold / nats", form.beta)
    peak = form.peak_kl_nats
    reason = "the fitted form does not turn in every draw of the prompts"
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


def _mean(values: Array) -> Estimate | None:
    return from_sums(np.stack([values, np.ones_like(values)], 1), np.arange(len(values)), ratio)
