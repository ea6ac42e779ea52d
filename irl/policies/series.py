"""The checkpoints of one training, as a trainer leaves them or as they are named one by one."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from irl.errors import InputError
from irl.runs import file_sha256

_STEP = re.compile(r"checkpoint-(\d+)")


def checkpoints_of(sources: Sequence[str]) -> list[str]:
    """The checkpoints that are meant, in order.

    A folder that holds `checkpoint-100`, `checkpoint-200`, ..., as trainers write them, stands for
    these in the order of their numbers, and for the model beside them at the end, unless that is
    the last checkpoint once more.

    Raises:
        InputError: fewer than two are meant, or one of them twice.
    """
    found = [one for source in sources for one in _expanded(source)]
    places = [Path(one).expanduser().resolve() if Path(one).exists() else one for one in found]
    twice = [one for at, one in enumerate(found) if places[at] in places[:at]]
    if twice:
        raise InputError(f"The checkpoint {twice[0]} is named twice; name each of a series once.")
    if len(found) < 2:
        named = f"only {found[0]} was" if found else "none was"
        raise InputError(
            f"A series needs two checkpoints or more, but {named} named; give --aligned several "
            "times, or a folder that holds checkpoint-100, checkpoint-200, ..."
        )
    return found


def short_names(sources: Sequence[str]) -> list[str]:
    """As much of the end of each path as tells all of them apart."""
    parts = [Path(source).parts for source in sources]
    for depth in range(1, max(map(len, parts), default=1)):
        short = ["/".join(one[-depth:]) for one in parts]
        if len(set(short)) == len(short):
            return short
    return list(sources)


def steps(names: Sequence[str]) -> list[int] | None:
    """The training steps that names like checkpoint-100 tell; None unless all do and they rise."""
    found = [_STEP.fullmatch(name) for name in names]
    numbers = [int(match.group(1)) for match in found if match]
    rising = all(a < b for a, b in pairwise(numbers))
    return numbers if len(numbers) == len(names) and rising else None


def _expanded(source: str) -> list[str]:
    folder = Path(source).expanduser()
    inside = folder.glob("checkpoint-*") if folder.is_dir() else ()
    numbered = sorted(
        (int(match.group(1)), path)
        for path in inside
        if path.is_dir() and (match := _STEP.fullmatch(path.name))
    )
    if not numbered:
        return [source]
    found = [str(path) for _, path in numbered]
    own = _weights(folder)
    return found if not own or own == _weights(numbered[-1][1]) else [*found, source]


def _weights(folder: Path) -> dict[str, str]:
    """The hashes of its files of weights; empty where it holds no model."""
    return {file.name: file_sha256(file) for file in folder.glob("*.safetensors")}
