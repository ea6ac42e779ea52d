"""The job `irl results NAME`: a table that README, docs or an issue may quote.

docs/recipes/NAME.yaml says with its key `kind` what the table is about: a `pair` (the default), the
`organisms` with a known truth, the `nulls` that calibrate the verdict, the recovery `methods` on
organisms, their exact `testbed` or false `alarms`, wrong labels (`noise`), the `coverage` of
posteriors, the `readability` of log-ratios, `probes`, `ensembles`, `over-optimisation`, the
`round-trip` of recovered rewards, the `distillation` of an advantage into a student, rewards that
others `published`, the `replication` of their experiment, the `localisation` of what pays by maps
of words, the `gaps` of gradient attributions, forecasts of a reward's error (`trust`), the
detectors of the `triage`, the choice of `prompts`, or the arithmetic of a `cluster` beside a
simulation of it. Every row of docs/results/NAME.json is one measurement.
"""

import logging
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from explain.jobs.alarm_results import AlarmsRecipe, alarm_rows
from explain.jobs.cluster_results import ClusterRecipe, cluster_rows
from explain.jobs.coverage_results import CoverageRecipe, coverage_rows
from explain.jobs.distillation_results import DistillationRecipe, distillation_rows
from explain.jobs.ensemble_results import EnsemblesRecipe, ensemble_rows
from explain.jobs.gap_results import GapsRecipe, gap_rows
from explain.jobs.localisation_results import LocalisationRecipe, localisation_rows
from explain.jobs.methods_results import MethodsRecipe, method_rows
from explain.jobs.noise_results import NoiseRecipe, noise_rows
from explain.jobs.null_results import NullsRecipe, null_rows
from explain.jobs.organism_results import OrganismsRecipe, organism_rows
from explain.jobs.over_optimisation_results import (
    OverOptimisationRecipe,
    over_optimisation_rows,
)
from explain.jobs.pair_results import PairRecipe, pair_rows
from explain.jobs.probes_results import ProbesRecipe, probes_rows
from explain.jobs.prompts_results import PromptsRecipe, prompts_rows
from explain.jobs.published_results import PublishedRecipe, published_rows
from explain.jobs.readability_results import ReadabilityRecipe, readability_rows
from explain.jobs.replication_results import ReplicationRecipe, replication_rows
from explain.jobs.result_rows import Making
from explain.jobs.round_trip_results import RoundTripRecipe, round_trip_rows
from explain.jobs.testbed_results import ExactRecipe, rows_of_testbed
from explain.jobs.triage_results import TriageRecipe, triage_rows
from explain.jobs.trust_results import TrustRecipe, trust_rows
from explain.results_page import render_table
from irl.engine.shards import Progress, silent
from irl.errors import InputError
from irl.records import ResultRow, ResultTable
from irl.runs import RUNS, now, versions

_LOG = logging.getLogger("irl.organisms")
RECIPES, RESULTS = Path("docs/recipes"), Path("docs/results")
Recipe = (
    PairRecipe
    | OrganismsRecipe
    | NullsRecipe
    | ExactRecipe
    | MethodsRecipe
    | NoiseRecipe
    | AlarmsRecipe
    | CoverageRecipe
    | ProbesRecipe
    | PublishedRecipe
    | ReadabilityRecipe
    | ReplicationRecipe
    | LocalisationRecipe
    | GapsRecipe
    | EnsemblesRecipe
    | OverOptimisationRecipe
    | RoundTripRecipe
    | DistillationRecipe
    | PromptsRecipe
    | TrustRecipe
    | TriageRecipe
    | ClusterRecipe
)
_MAKERS: Mapping[type[Recipe], Callable[[Any, Making], list[ResultRow]]] = MappingProxyType(
    {
        PairRecipe: pair_rows,
        OrganismsRecipe: organism_rows,
        NullsRecipe: null_rows,
        ExactRecipe: rows_of_testbed,
        MethodsRecipe: method_rows,
        NoiseRecipe: noise_rows,
        AlarmsRecipe: alarm_rows,
        CoverageRecipe: coverage_rows,
        ProbesRecipe: probes_rows,
        PublishedRecipe: published_rows,
        ReadabilityRecipe: readability_rows,
        ReplicationRecipe: replication_rows,
        LocalisationRecipe: localisation_rows,
        GapsRecipe: gap_rows,
        EnsemblesRecipe: ensemble_rows,
        OverOptimisationRecipe: over_optimisation_rows,
        RoundTripRecipe: round_trip_rows,
        DistillationRecipe: distillation_rows,
        PromptsRecipe: prompts_rows,
        TrustRecipe: trust_rows,
        TriageRecipe: triage_rows,
        ClusterRecipe: cluster_rows,
    }
)
_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="kind")])


def make_results(name: str, text: Path | None = None, *, progress: Progress = silent) -> Path:
    """Run the recipe's audits (finished ones are reused) and write the table.

    Raises:
        InputError: the recipe is missing or cannot be used.
    """
    recipe = read_recipe(RECIPES / f"{name}.yaml")
    _LOG.setLevel(logging.INFO)
    making = Making(RUNS / f"results-{name}", text, progress, _LOG.info)
    rows = _MAKERS[type(recipe)](recipe, making)
    table = ResultTable(
        name=name,
        command=f"irl results {name}" + (" --text DIR" if text else ""),
        created=now(),
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        versions=versions(),
        rows=rows,
    )
    target = RESULTS / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(table.to_json(), encoding="utf-8")
    target.with_suffix(".md").write_text(render_table(table), encoding="utf-8")
    return target


def read_recipe(file: Path) -> Recipe:
    """Read a recipe of any kind.

    Raises:
        InputError: it is missing or cannot be used.
    """
    try:
        document: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return _RECIPE.validate_python(
            {"kind": "pair", **document} if isinstance(document, dict) else document
        )
    except OSError:
        known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml"))) or "none"
        raise InputError(f"There is no recipe {file}; known here: {known}.") from None
    except (yaml.YAMLError, ValidationError) as error:
        raise InputError(f"The recipe {file} cannot be used ({error}).") from None
