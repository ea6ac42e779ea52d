"""The job `irl audits`: whole audits, a line of a JSONL file each, every one its own run folder.

Finished ones are passed over, unfinished ones go on, and one that fails stops no other. On a
cluster each is a task: workers write the run folders, so every node must see them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from explain.jobs.audit import run_audit
from irl.config import AuditSettings
from irl.engine.engine import HERE, Engine
from irl.engine.shared import refuse_unseen, seen_by_workers
from irl.errors import InputError, IrlError
from irl.records import Record
from irl.runs import RUNS

State = Literal["done", "finished before", "failed"]


class AuditOutcome(Record):
    """How one of many audits ended."""

    name: str
    folder: str
    state: State
    passed: bool | None
    "whether it kept within its gate; null if it failed"
    said: str
    "its verdict in one sentence, or why it failed"


@dataclass(frozen=True)
class Order:
    """One audit, for whoever does the work."""

    name: str
    settings: AuditSettings
    folder: Path
    fresh: bool
    marker: Path

    def carried_out(self) -> AuditOutcome:
        """Audit; whatever goes wrong is an outcome."""
        refuse_unseen(self.marker)
        try:
            done = run_audit(self.settings, self.folder, fresh=self.fresh)
        except IrlError as error:
            return self.failed(str(error))
        except Exception as error:  # the others go on, whatever it is
            return self.failed(f"{type(error).__name__}: {error}")
        statements = done.report.verdict.statements
        return AuditOutcome(
            name=self.name,
            folder=str(self.folder),
            state="finished before" if done.was_finished else "done",
            passed=all(row.passed for row in done.report.gate),
            said=statements[0] if statements else "",
        )

    def failed(self, reason: str) -> AuditOutcome:
        """What stands for an audit without a report."""
        said = " ".join(reason.split())
        return AuditOutcome(
            name=self.name, folder=str(self.folder), state="failed", passed=None, said=said
        )


def run_audits(
    file: Path, out: Path | None = None, *, fresh: bool = False, engine: Engine = HERE
) -> list[AuditOutcome]:
    """Carry every audit out, in the order of the lines; `engine` decides where.

    Args:
        file: a JSON object of settings on each line; `name` names the run's folder, else the
            number of the line does.
        out: the folder of the run folders; None: artifacts/runs, where they are FILE-NAME.
        fresh: repeat finished ones.
        engine: who audits.

    Raises:
        InputError: a line cannot be used; nothing is audited then.
        RunError: the folder cannot be written.
    """
    root, before = (out or RUNS).absolute(), "" if out else f"{file.stem}-"
    named = read_orders(file)
    with seen_by_workers(root) as marker:
        orders = [
            Order(name, settings, root / f"{before}{name}", fresh, marker)
            for name, settings in named.items()
        ]
        return list(engine.each(Order.carried_out, orders, "audit", lost=Order.failed))


def read_orders(file: Path) -> dict[str, AuditSettings]:
    """The settings of every audit by its name.

    Raises:
        InputError: the file cannot be read, or a line is no audit or has the name of another.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} cannot be read ({error}); give a JSONL file with the settings of one audit "
            "on each line."
        ) from None
    found: dict[str, AuditSettings] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, settings = _order(f"Line {number} of {file}", f"{number:04d}", line)
            if name in found:
                raise InputError(f"Line {number} of {file}: two audits are named {name}.")
            found[name] = settings
    if not found:
        raise InputError(f"{file} holds no audits; write the settings of one on each line.")
    return found


def _order(where: str, number: str, line: str) -> tuple[str, AuditSettings]:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error}).") from None
    if not isinstance(given, dict):
        raise InputError(f"{where} is no JSON object of settings.")
    name = str(given.pop("name", number))
    if not name or Path(name).name != name or name.startswith("."):
        raise InputError(f"{where}: the name {name!r} cannot be that of a folder.")
    try:
        return name, AuditSettings.checked(given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def told(outcomes: Sequence[AuditOutcome]) -> str:
    """One line for each, and how many ended how."""
    lines = [f"{one.name:24} {_state(one):16} {one.said}" for one in outcomes]
    counts = {
        state: sum(_state(one) == state for one in outcomes)
        for state in ("done", "finished before", "over its gate", "failed")
    }
    total = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    return "\n".join([*lines, f"{len(outcomes)} audits: {total}"])


def _state(one: AuditOutcome) -> str:
    return one.state if one.passed in (True, None) else "over its gate"
