"""aspects.yaml: a list of aspects, each with a name, a kind and the keys of its kind.

    - {name: length, kind: length, of: words}                    words | sentences | characters
    - {name: questions, kind: regex, pattern: '[?]+', ignore_case: false, at_most_once: false}
    - {name: thanks, kind: lexicon, terms: [thanks, thank you], at_most_once: false}
    - {name: refusal, kind: refusal, phrases: [i cannot help], within_words: 30}
    - {name: sentiment, kind: sentiment, coefficients: mine.json}        {"weights": {word: weight}}
    - {name: repetition, kind: repetition, run: 3}
    - {name: tone, kind: callable, function: 'my_module:tone', unit: point}

Every aspect may name its `unit`. Files and modules are looked for beside the file. A callable takes
a list of exchanges (prompt, response) and returns one number for each; it is the user's code, so it
is run only if that is allowed. Patterns are run as they are given: one that backtracks without end
(nested repeats, such as `(a+)+$`) hangs, and Python offers no way to stop it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from explain.aspect_kinds import KEYS, AnyKind, Code
from explain.aspect_measures import DeclaredAspect
from irl.errors import InputError

STOCK: Final = Path(__file__).parent / "stock" / "aspects.yaml"
_COLUMN: Final = "response_id"
"The column of aspects.parquet that is no aspect"
_LIST: Final = TypeAdapter[list[AnyKind]](
    Annotated[list[Annotated[AnyKind, Field(discriminator="kind")]], Field(min_length=1)]
)


@dataclass(frozen=True)
class AspectSet:
    """Aspects as a file declares them."""

    aspects: list[DeclaredAspect]
    sha256: str
    "of the file and of what it names: coefficients and code"

    @property
    def names(self) -> list[str]:
        """Their names, in order."""
        return [aspect.name for aspect in self.aspects]

    @property
    def units(self) -> list[str]:
        """Their units, in order."""
        return [aspect.unit for aspect in self.aspects]


def read_aspects(file: Path = STOCK, *, allow_code: bool = False) -> AspectSet:
    """The aspects that a file declares; without a file, the stock set.

    Args:
        file: see above.
        allow_code: run the Python functions that it names. Only for files that one trusts.

    Raises:
        InputError: the file, or something that it names, cannot be used; the message says why.
    """
    try:
        content = file.read_bytes()
        declared = _LIST.validate_python(yaml.safe_load(content))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The aspects file {file} cannot be read as YAML ({reason}).") from None
    except ValidationError as error:
        raise InputError(f"The aspects file {file} cannot be used: {_first(error)}") from None
    _check_names(file, [one.name for one in declared])
    digest, aspects = hashlib.sha256(content), []
    for one in declared:
        if isinstance(one, Code) and not allow_code:
            raise InputError(
                f"The aspect {one.name} of {file} runs Python code ({one.function}); give "
                "--allow-code if you trust it."
            )
        try:
            built = one.built(file.parent)
        except InputError as error:
            raise InputError(f"The aspect {one.name} of {file}: {error}") from error
        digest.update(built.read)
        aspects.append(DeclaredAspect(one.name, one.unit or built.unit, built.measure))
    return AspectSet(aspects, digest.hexdigest())


def _check_names(file: Path, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"The aspects file {file}: the name {name} stands twice; rename one.")
        if name == _COLUMN:
            raise InputError(
                f"The aspects file {file}: {name} is the name of a response; rename the aspect."
            )


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, as a sentence."""
    first: Any = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    where = f"aspect {int(place[0]) + 1}" if place else "the file"
    kind, key = "".join(place[1:2]), ".".join(place[2:])
    match first["type"]:
        case "extra_forbidden":
            return f"{where} has the unknown key {key}; {kind} knows {', '.join(KEYS[kind])}."
        case "union_tag_not_found":
            return f"{where} names no kind; one of {', '.join(KEYS)} is expected."
        case "union_tag_invalid":
            given = first["ctx"]["tag"]
            return f"{where} is of the unknown kind {given}; one of {', '.join(KEYS)} is expected."
        case "missing":
            return f"{where} lacks the key {key}."
        case _:
            said = first["msg"][0].lower() + first["msg"][1:]
    if not kind:
        return f"{where}: {said}; it holds a list of `name: ..., kind: ...` entries."
    hint = "; put it in quotes" if first["type"] in ("string_type", "invalid_key") else ""
    return f"{where}, {key}: {said}, not {first['input']!r}{hint}."
