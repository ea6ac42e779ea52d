"""What a reward stands on: its members, the pairs they were fitted to, and those they were not.

A reward can be trusted where all three are at hand: the run of `irl ensemble` names its data, which
is read again and split again; the name of the run tells whether it is the same.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from irl.ensembles.pairs import Pairs
from irl.errors import InputError, RunError
from irl.evaluation.calibration import likely_scale
from irl.jobs.ensemble import base_sha256, held_out_of, margins_of, read_pairs
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.jobs.named_reward import is_reward_model, reward_folder
from irl.policies.template import PromptText
from irl.rewards.ensemble import Ensemble
from irl.runs import as_named, find_run, read_run, run_id_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Answered:
    """Different answers of some pairs, in order of first appearance."""

    texts: list[str]
    prompts: list[PromptText]
    cluster: Codes
    chosen: Codes
    "number of the chosen answer of each pair"
    rejected: Codes

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def pair_of(self) -> Codes:
        """The first pair that each answer belongs to."""
        first = np.full(len(self), len(self.chosen), dtype=np.int64)
        for side in (self.chosen, self.rejected):
            np.minimum.at(first, side, np.arange(len(side)))
        return first

    @classmethod
    def of(cls, pairs: Pairs) -> "Answered":
        """Of all pairs; the same answer to the same prompt is one."""
        number: dict[tuple[str, str], int] = {}
        first: list[tuple[str, PromptText, int]] = []
        sides: list[list[int]] = []
        for side in (pairs.chosen, pairs.rejected):
            at: list[int] = []
            for text, prompt, cluster in zip(side, pairs.prompts, pairs.cluster, strict=True):
                key = repr(prompt), text
                if key not in number:
                    number[key] = len(first)
                    first.append((text, prompt, int(cluster)))
                at.append(number[key])
            sides.append(at)
        chosen, rejected = (np.array(side, dtype=np.int64) for side in sides)
        texts, prompts = [one[0] for one in first], [one[1] for one in first]
        return cls(texts, prompts, np.array([one[2] for one in first]), chosen, rejected)


@dataclass(frozen=True)
class Grounds:
    """A reward and its data."""

    run: Path
    ensemble: Ensemble
    settings: EnsembleSettings
    training: Pairs
    held_out: Pairs
    margins: Array
    "of members on held-out pairs, standardised, [member, pair]"

    @cached_property
    def fitted(self) -> Answered:
        """The answers that the reward was fitted to."""
        return Answered.of(self.training)

    @cached_property
    def held(self) -> Answered:
        """Those of the held-out pairs."""
        return Answered.of(self.held_out)

    @cached_property
    def scale(self) -> float:
        """Of the odds: P(chosen) = sigmoid(scale * margin), one for all members."""
        return likely_scale(self.margins.ravel())

    @cached_property
    def wrong(self) -> Array:
        """Of each held-out pair, by the mean of the members: 1, or one half for a tie."""
        mean = self.margins.mean(0)
        result: Array = np.where(mean == 0, 0.5, mean < 0)
        return result


def grounds_of(source: str) -> Grounds:
    """The grounds of a reward that a run of `irl ensemble` stored.

    Raises:
        InputError: it is another kind of reward, or its data are not what they were.
        RunError: there is no such run, or it is unfinished.
    """
    run = _ensemble_run(source)
    document = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    settings = EnsembleSettings.checked(_as_found(run, document["settings"]))
    try:
        read = read_pairs(settings)
    except (InputError, RunError) as error:
        raise InputError(
            f"What the ensemble {source} was fitted to is not at hand ({error}); without it "
            "nothing tells where the reward holds."
        ) from None
    inputs = {"preferences": read.sha256, **base_sha256(settings)}
    if run_id_of("ensemble", document["settings"], inputs) != document["run_id"]:
        raise InputError(
            f"The preferences or the base of the ensemble {source} have changed since it was "
            "fitted; fit it again with `irl ensemble`."
        )
    held = held_out_of(read.pairs.cluster, settings)
    ensemble = Ensemble.load(run / "reward")
    judged = read.pairs.at(held)
    margins = margins_of(ensemble, judged)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(margins).all(0))
    if not finite.any():
        raise InputError(f"No held-out pair of the ensemble {source} has finite scores.")
    return Grounds(
        run, ensemble, settings, read.pairs.at(~held), judged.at(finite), margins[:, finite]
    )


def sampled(n: int, most: int, seed: int) -> NDArray[np.int64]:
    """At most so many of n, drawn without looking, in order."""
    order = np.random.default_rng(seed).permutation(n)[:most]
    chosen: NDArray[np.int64] = np.sort(order)
    return chosen


def _ensemble_run(source: str) -> Path:
    if is_reward_model(source) or reward_folder(source) == Path(source):
        raise InputError(
            f"{source} is a reward without the data that it was fitted to; trust needs a run of "
            "`irl ensemble`, which names them."
        )
    run = find_run(source)
    listed = read_run(run)
    if listed.command != "ensemble":
        raise InputError(
            f"{source} is a run of irl {listed.command}: its reward has no members that were "
            f"judged on pairs held out from all of them. Fit some by `irl ensemble --run {source}` "
            "and give that run."
        )
    if listed.state != "finished":
        raise RunError(f"The run {source} is {listed.state}; repeat its command to finish it.")
    return run


def _as_found(run: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Paths as they are seen from here; members may lie within the run that they were fitted to."""
    named = {
        name: as_named(run, settings[name])
        for name in ("preferences", "run", "base")
        if settings.get(name) is not None
    }
    if "run" in named and (run.parent / "responses.parquet").is_file():
        named["run"] = str(run.parent)
    return settings | named
