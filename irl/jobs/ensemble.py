"""The job `irl ensemble`: several rewards from one set of preferences, and what they say together.

1. Read the preferences (or pair up the answers of a finished run by its reward), count what is odd.
2. Hold a share of the prompts out; fit the members on the others.
3. Standardise the members on a fixed sample of the answers they were fitted to.
4. Judge members and aggregations on the prompts that were held out.
"""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from irl.data import LabelledResponse, RefusedRow, read_preferences, stored_prompt
from irl.engine.engine import HERE, Engine
from irl.ensembles.pairs import Pairs, pairs_of
from irl.ensembles.training import Training, members
from irl.errors import InputError
from irl.evaluation.abstention import abstention
from irl.evaluation.pair_figures import disagreement, figures
from irl.jobs.encoding import log_refused
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.policies.checkpoint import files_sha256, locate
from irl.policies.encoder import load_encoder
from irl.policies.quiet import quiet_libraries
from irl.records import Caveat, EnsembleReport
from irl.recovery.catalogue import frequent_words
from irl.rewards.aggregation import KINDS, Aggregation
from irl.rewards.embeddings import Embeddings
from irl.rewards.ensemble import Ensemble, reference_sample
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.runs import CACHE, RunFolder, file_sha256, find_run, open_run, read_record

_LOG = logging.getLogger("irl.ensembles")
FEW_PAIRS = 100
"Held out; below, every figure is coarse"
LABELS = {"reward": "reward_nats", "log-ratio": "log_ratio_nats"}
"Columns of a run's answers by what they are called in settings"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class EnsembleRun:
    """A finished ensemble; it lies in the run's folder `reward`."""

    run: RunFolder
    report: EnsembleReport
    was_finished: bool

    @cached_property
    def ensemble(self) -> Ensemble:
        """The ensemble, callable on texts."""
        return Ensemble.load(self.run.path / "reward")


@dataclass(frozen=True)
class ReadPairs:
    """Preferences as pairs, what was refused, and the hash of their source."""

    pairs: Pairs
    refused: tuple[RefusedRow, ...]
    sha256: str


def fit_ensemble(
    settings: EnsembleSettings | None = None,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    engine: Engine = HERE,
    **given: Any,
) -> EnsembleRun:
    """Fit an ensemble into a run folder; a finished run is returned as it is.

    Args:
        settings: all of them; None takes those that are `given` by name.
        out: the run folder; artifacts/runs/<run_id> if None.
        fresh: repeat a finished run.
        engine: who trains transformers; heads on features are one batch, and fitted here.
        given: settings of `irl ensemble`, such as preferences or form.

    Raises:
        InputError: the preferences or settings cannot be used.
        PolicyError: the base cannot be loaded.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    settings = settings or EnsembleSettings.checked(given)
    read, folder = read_pairs(settings), None if out is None else Path(out)
    inputs = {"preferences": read.sha256, **base_sha256(settings)}
    run = open_run("ensemble", settings.model_dump(mode="json"), inputs, folder, fresh=fresh)
    if run.finished:
        kept = read_record(run.path / "ensemble.json", EnsembleReport)
        return EnsembleRun(run, kept, was_finished=True)
    log_refused(run, str(settings.preferences), read.refused)
    held_out = held_out_of(read.pairs.cluster, settings)
    reward, left_out = fit_members(read.pairs, ~held_out, settings, engine)
    training, judged = read.pairs.at(~held_out), read.pairs.at(held_out)
    ensemble = standardised(reward, training, settings)
    chats = sum(not isinstance(prompt, str) for prompt in training.prompts) * 2 > len(training)
    about = {"loss": settings.loss, "diversity": settings.diversity, "chats": chats}
    ensemble.save(run.path / "reward", **about, seeds=settings.learning.seeds)
    constant = len(settings.learning.seeds) - ensemble.reward.head.members
    counts = {"refused_rows": len(read.refused), **read.pairs.odd}
    counts |= {"not_finite": left_out, "constant_members": constant}
    report = _report(run, settings, ensemble, (training, judged), counts)
    report = report.model_copy(update={"training_pairs": len(training) - left_out})
    run.write_text("ensemble.json", report.to_json())
    run.finish(counts | {"pairs": len(read.pairs)})
    return EnsembleRun(run, report, was_finished=False)


def fit_members(
    pairs: Pairs,
    training: NDArray[np.bool_],
    settings: EnsembleSettings,
    engine: Engine = HERE,
) -> tuple[HeadReward, int]:
    """Members fitted to some of the pairs, and how many of these had no finite embeddings.

    Raises:
        InputError: no pair can be used.
        PolicyError: the base cannot be loaded.
    """
    seen = pairs.at(training)
    how = settings.learning
    if settings.form == "transformer":
        # Loaded here alone: TRL takes seconds to import.
        from irl.ensembles.by_trainer import TrainerSettings, trained_members

        exact = settings.loading.model_copy(update={"dtype": "float32"})
        told = TrainerSettings(
            *(how.seeds, how.epochs, how.learning_rate, how.prompts_per_step),
            settings.diversity == "bootstrap",
            settings.chat,
        )
        return trained_members(str(settings.base), exact, seen, told, engine), 0
    reader, features, usable = _features(seen, settings)
    n = len(seen)
    head = members(
        features[:n][usable],
        features[n:][usable],
        seen.at(usable.numpy()).cluster,
        Training(
            *(settings.form, settings.loss, settings.hidden),
            settings.diversity == "bootstrap",
            how,
        ),
    )
    return HeadReward(reader, head), int((~usable).sum())


def standardised(reward: HeadReward, training: Pairs, settings: EnsembleSettings) -> Ensemble:
    """The members in the units of a sample of the answers that they were fitted to."""
    texts, prompts = training.chosen + training.rejected, training.prompts * 2
    at = reference_sample(settings.reference_answers, len(texts), settings.seed).tolist()
    scores = reward.members([texts[one] for one in at], [prompts[one] for one in at])
    finite = scores[:, scores.isfinite().all(0)]
    return Ensemble.standardised(reward, finite, settings.aggregated)


def _features(
    pairs: Pairs, settings: EnsembleSettings
) -> tuple[WordCounts | Embeddings, torch.Tensor, torch.Tensor]:
    texts, prompts = pairs.chosen + pairs.rejected, pairs.prompts * 2
    if settings.features == "words":
        counts = frequent_words(texts, settings.fitting)
        return counts, counts(texts), torch.ones(len(pairs), dtype=torch.bool)
    encoder = load_encoder(str(settings.base), settings.loading, settings.chat, settings.pooling)
    plain = Embeddings(encoder, cache=CACHE / "embeddings")
    raw = plain(texts, prompts)
    usable = raw.isfinite().all(1).view(2, -1).all(0)
    if not usable.any():
        raise InputError(f"None of the {plain} are finite; load them in another dtype.")
    reader = plain.in_units_of(raw[usable.repeat(2)])
    assert reader.centre is not None
    assert reader.scale is not None
    return reader, (raw - reader.centre) / reader.scale, usable


def base_sha256(settings: EnsembleSettings) -> dict[str, str]:
    """The hash of the base, where there is one; one of the inputs that name a run."""
    if settings.base is None:
        return {}
    return {"base": files_sha256(locate(settings.base).folder)}


def read_pairs(settings: EnsembleSettings) -> ReadPairs:
    """The pairs that the settings name.

    Raises:
        InputError: they cannot be read, or state no preference.
        RunError: there is no such run.
    """
    if settings.preferences is not None:
        table = read_preferences(settings.preferences)
        return ReadPairs(pairs_of(table.rows, settings.seed), table.refused, table.sha256)
    file = find_run(str(settings.run)) / "responses.parquet"
    if not file.is_file():
        raise InputError(
            f"The run {settings.run} has no responses; give one of irl audit or irl recover."
        )
    rows = rewarded(file, LABELS[settings.label])
    return ReadPairs(pairs_of(rows, settings.seed), (), file_sha256(file))


def rewarded(responses: Path, label: str = LABELS["reward"]) -> list[LabelledResponse]:
    """The answers of a run, labelled by one of its columns.

    Raises:
        InputError: the run did not measure it.
    """
    columns = ["prompt_id", "prompt", "response", label]
    table = pq.read_table(responses, columns=columns).to_pylist()
    rows = [row for row in table if row[label] is not None]
    if not rows:
        what = "recovered reward" if label == LABELS["reward"] else "log-ratios"
        raise InputError(f"{responses} holds no {what}; give a run of a pair that has them.")
    return [
        LabelledResponse(
            *(line, row["prompt_id"], stored_prompt(row["prompt"], row["prompt_id"])),
            *(row["response"], row[label], None),
            row["prompt_id"] if row["prompt"] else f"row-{line}",
        )
        for line, row in enumerate(rows, start=1)
    ]


def held_out_of(cluster: NDArray[np.int64], settings: EnsembleSettings) -> NDArray[np.bool_]:
    """Which pairs no member sees.

    Raises:
        InputError: all of them answer one prompt.
    """
    n = int(cluster.max()) + 1
    order = np.random.default_rng(settings.seed).permutation(n)
    chosen: NDArray[np.bool_] = np.isin(
        cluster, order[: max(round(settings.held_out_share * n), 1)]
    )
    if chosen.all():
        raise InputError("All pairs answer one prompt, so none can be held out; give more prompts.")
    return chosen


def margins_of(ensemble: Ensemble, pairs: Pairs) -> Array:
    """Standardised margins of every member, [member, pair]."""
    chosen = ensemble.members(pairs.chosen, pairs.prompts)
    rejected = ensemble.members(pairs.rejected, pairs.prompts)
    margins: Array = (chosen - rejected).double().numpy()
    return margins


def aggregate_margins(ensemble: Ensemble, pairs: Pairs, how: Aggregation) -> Array:
    """Margins of an aggregate: the aggregate of either answer, then the difference."""
    chosen = how(ensemble.members(pairs.chosen, pairs.prompts))
    rejected = how(ensemble.members(pairs.rejected, pairs.prompts))
    margins: Array = (chosen - rejected).double().numpy()
    return margins


def _report(
    run: RunFolder,
    settings: EnsembleSettings,
    ensemble: Ensemble,
    split: tuple[Pairs, Pairs],
    counts: dict[str, int],
) -> EnsembleReport:
    training, judged = split
    single = margins_of(ensemble, judged)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(single).all(0))
    if not finite.any():
        raise InputError(
            f"None of the {len(judged)} pairs that were held out has finite scores, so nothing can "
            "be judged; load the base in another dtype."
        )
    judged, single = judged.at(finite), single[:, finite]
    own = aggregate_margins(ensemble, judged, settings.aggregated)
    cluster, seed = judged.cluster, settings.seed
    every = [settings.aggregated, *(Aggregation(kind) for kind in KINDS)]
    sets = abstention(own, cluster, settings.confidences, seed)
    unsettled = len(settings.confidences) - len(sets)
    scorers = {str(one): aggregate_margins(ensemble, judged, one) for one in every}
    return EnsembleReport(
        run_id=run.run_id,
        reward=f"{settings.form} on {ensemble.reward.features}",
        members=len(single),
        diversity=settings.diversity,
        loss=settings.loss,
        aggregation=str(settings.aggregated),
        training_pairs=len(training),
        held_out_pairs=len(judged),
        held_out_prompts=len(np.unique(cluster)),
        figures=[
            figures("members", single, cluster, seed),
            *(figures(name, margins, cluster, seed) for name, margins in scorers.items()),
        ],
        disagreement=disagreement(single, own, cluster, seed),
        abstention=sets,
        input=counts | {"held_out_not_finite": int((~finite).sum())},
        caveats=_caveats(len(judged), counts | {"unsettled": unsettled}),
    )


def _caveats(held_out: int, counts: dict[str, int]) -> tuple[Caveat, ...]:
    said = {
        "few-pairs": (held_out < FEW_PAIRS)
        and f"Only {held_out} pairs were held out; every figure is coarse.",
        "contradictory": counts.get("contradictory", 0)
        and f"{counts['contradictory']} pairs are also labelled the other way round; no reward "
        "can agree with both.",
        "abstention": counts["unsettled"]
        and f"{held_out} held-out pairs do not settle when to abstain at {counts['unsettled']} of "
        "the confidences asked for.",
        "constant-members": counts["constant_members"]
        and f"{counts['constant_members']} members say the same of every answer and were left out: "
        "nothing that they learnt held for other prompts.",
        "not-finite": counts["not_finite"]
        and f"{counts['not_finite']} pairs have embeddings that are NaN or infinite and were left "
        "out.",
    }
    return tuple(Caveat(code=code, text=text) for code, text in said.items() if text)
