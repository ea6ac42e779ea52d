"""RewardBench 1 (`prompt, chosen, rejected, subset, id`) and 2 (chosen and rejected are lists).

Equal texts are kept: they are ties, and a benchmark counts those.
"""

from dataclasses import dataclass
from pathlib import Path

from irl.data.preferences import comparison
from irl.data.prompts import PROMPT_NAMES, Prompt
from irl.data.rows import Cells, Columns, RowError, Table, read_table

NO_SUBSET = "all"
_COLUMNS = Columns(
    (("chosen", "rejected"),), optional=(*PROMPT_NAMES, "messages", "subset", "id", "num_correct")
)


@dataclass(frozen=True)
class BenchRow:
    """Right and wrong answers to one prompt."""

    line: int
    id: str
    subset: str
    prompt: Prompt
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]


def read_reward_bench(source: str | Path) -> Table[BenchRow]:
    """Read either version; one row each.

    Raises:
        InputError: the source cannot be read, lacks the columns or has no usable row.
    """
    return read_table(source, _COLUMNS, _row)


def _row(line: int, cells: Cells) -> tuple[BenchRow]:
    if missing := [name for name in ("chosen", "rejected") if name not in cells]:
        raise RowError(f"{missing[0]} is missing")
    found = comparison(cells)
    if cells.get("num_correct") not in (None, len(found.chosen)):
        raise RowError(f"num_correct is {cells['num_correct']}, but chosen has {len(found.chosen)}")
    subset, name = cells.get("subset"), cells.get("id")
    return (
        BenchRow(
            line,
            str(line if name is None else name),
            NO_SUBSET if subset is None else str(subset),
            *(found.prompt, found.chosen, found.rejected),
        ),
    )
