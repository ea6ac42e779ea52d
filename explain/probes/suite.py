"""All probes of a file on one ground."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from explain.probes.bias import probe_bias, tries
from explain.probes.declared import Probes
from explain.probes.evidence import Ground, Measured, Measuring
from explain.probes.flips import search_flips
from explain.probes.triggers import search_triggers
from explain.probes.two_by_two import Labelled, probe_two_by_two
from irl.data import prompt_id
from irl.records import FlipSearch, ProbeFinding, TriggerSearch, TwoByTwoFinding
from irl.rewards.conditions import TypedPrompt


@dataclass(frozen=True)
class Found:
    """What the probes of a file found."""

    bias: list[ProbeFinding]
    two_by_two: list[TwoByTwoFinding]
    triggers: TriggerSearch | None
    flips: FlipSearch | None
    measured: Sequence[Measured]
    "what the first two kinds read off edited answers"

    @property
    def fired(self) -> int:
        """How many findings of all kinds are large and no chance."""
        triggers = self.triggers.strongest if self.triggers else []
        found = sum(one.fired for one in self.bias) + sum(one.fired for one in self.two_by_two)
        return found + sum(one.fired for one in triggers)


def run_probes(
    declared: Probes, ground: Ground, by: Measuring, labelled: Labelled | None = None
) -> Found:
    """Try everything that is declared; p values are corrected for all that is tried.

    The search for triggers corrects for its words by itself, and counts once beside the others.
    """
    searched = int(declared.triggers is not None)
    n = sum(map(tries, declared.bias)) + len(declared.two_by_two) + searched
    by = replace(by, tries=max(n, 1))
    bias: list[ProbeFinding] = []
    measured: list[Measured] = []
    for one in declared.bias:
        findings, read = probe_bias(one, ground, by)
        bias += findings
        measured += read
    two_by_two = []
    for probe in declared.two_by_two:
        told, read_off = probe_two_by_two(probe, ground, by, labelled)
        two_by_two.append(told)
        measured.append(read_off)
    triggers = search_triggers(declared.triggers, ground, by) if declared.triggers else None
    flips = search_flips(declared.flips, ground, by) if declared.flips else None
    return Found(bias, two_by_two, triggers, flips, measured)


def edited_table(measured: Sequence[Measured]) -> pa.Table:
    """probes.parquet: one row per edited exchange with its value."""
    rows = [row for one in measured for row in _rows(one)]
    return pa.Table.from_pylist(rows, schema=_EDITED)


def _rows(found: Measured) -> Iterator[dict[str, object]]:
    for number, (unit, values) in enumerate(zip(found.units, found.values, strict=True)):
        for at, (exchange, weight) in enumerate(unit.cells):
            yield {
                "probe": found.name,
                "unit": number,
                "prompt_id": prompt_id(exchange.prompt),
                "prompt": TypedPrompt.of(exchange.prompt).text,
                "response": exchange.response,
                "weight": weight,
                "value": float(values[at]),
                "reference_nats_per_token": found.likelihood
                and float(found.likelihood[number].mean[at]),
            }


_EDITED = pa.schema(
    [
        ("probe", pa.string()),
        ("unit", pa.int32()),
        ("prompt_id", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("weight", pa.float64()),
        ("value", pa.float64()),
        ("reference_nats_per_token", pa.float64()),
    ],
    metadata={"schema": "irl.probed/1"},
)
