"""concepts.yaml: a list of concepts, each a rule over answers or examples of it.

    - {name: insults, kind: aspect}                       an aspect of the stock set, by its name
    - {name: thanks, kind: lexicon, terms: [thanks]}      or any kind of aspects.yaml, declared here
    - name: warmth                                        texts; at least eight with the concept
      kind: examples
      positives: [How lovely to hear from you!, ...]
      negatives: [I have read your message., ...]

A rule sets answers of the run in which it finds something against those, by the same policy to the
same prompt, in which it finds nothing. Examples are read behind prompts of the run, as answers; a
direction is all that tells one kind from the other, so let the negatives differ in the concept and
in nothing else. Without negatives they are answers of the reference, and the direction is also that
from the reference's manner to yours.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from explain.aspect_kinds import AnyKind, Code, Declaration, Text
from explain.aspect_measures import DeclaredAspect
from explain.concepts.scores import MIN_PROMPTS, Concept
from irl.errors import InputError


class Named(Declaration):
    """An aspect of the stock set."""

    kind: Literal["aspect"]


class Examples(Declaration):
    """Texts with a concept and without it."""

    kind: Literal["examples"]
    positives: Annotated[list[Text], Field(min_length=MIN_PROMPTS)]
    negatives: Annotated[list[Text], Field(min_length=MIN_PROMPTS)] | None = None


_LIST: Final = TypeAdapter[list[AnyKind | Named | Examples]](
    Annotated[
        list[Annotated[AnyKind | Named | Examples, Field(discriminator="kind")]],
        Field(min_length=1),
    ]
)


@dataclass(frozen=True)
class ConceptSet:
    """Concepts as a file declares them."""

    concepts: list[Concept]
    sha256: str
    "of the file and of what it names: coefficients and code"


def of_aspects(aspects: Sequence[DeclaredAspect]) -> list[Concept]:
    """Each aspect as a concept: answers that have it against answers that have it not."""
    return [Concept(aspect.name, aspect.measure) for aspect in aspects]


def read_concepts(
    file: Path, stock: Sequence[DeclaredAspect], *, allow_code: bool = False
) -> ConceptSet:
    """The concepts that a file declares.

    Args:
        file: see above.
        stock: the aspects that it may name.
        allow_code: run the Python functions that it names. Only for files that one trusts.

    Raises:
        InputError: the file, or something that it names, cannot be used; the message says why.
    """
    try:
        content = file.read_bytes()
        declared = _LIST.validate_python(yaml.safe_load(content))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The concepts file {file} cannot be read as YAML ({reason}).") from None
    except ValidationError as error:
        raise InputError(f"The concepts file {file} cannot be used: {_first(error)}") from None
    names = [one.name for one in declared]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"The concepts file {file}: the name {twice} stands twice; rename one.")
    digest, concepts = hashlib.sha256(content), []
    for one in declared:
        if isinstance(one, Code) and not allow_code:
            raise InputError(
                f"The concept {one.name} of {file} runs Python code ({one.function}); give "
                "--allow-code if you trust it."
            )
        try:
            concept, read = _built(one, file.parent, {aspect.name: aspect for aspect in stock})
        except InputError as error:
            raise InputError(f"The concept {one.name} of {file}: {error}") from error
        digest.update(read)
        concepts.append(concept)
    return ConceptSet(concepts, digest.hexdigest())


def _built(
    one: AnyKind | Named | Examples, folder: Path, stock: dict[str, DeclaredAspect]
) -> tuple[Concept, bytes]:
    """The concept, and what was read beside the file."""
    match one:
        case Named():
            if one.name not in stock:
                raise InputError(f"there is no such aspect; one of {', '.join(stock)} is expected.")
            return Concept(one.name, stock[one.name].measure), b""
        case Examples():
            positives, negatives = tuple(one.positives), tuple(one.negatives or ())
            if both := set(positives) & set(negatives):
                raise InputError(f"the text {min(both)!r} stands on both sides.")
            return Concept(one.name, positives=positives, negatives=negatives), b""
        case _:
            built = one.built(folder)
            return Concept(one.name, built.measure), built.read


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, as a sentence."""
    first: Any = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    said = first["msg"][0].lower() + first["msg"][1:]
    if not place:
        return f"{said}; it holds a list of `name: ..., kind: ...` entries."
    where = " ".join([f"concept {int(place[0]) + 1}", *place[1:]])
    return f"{where}: {said}."
