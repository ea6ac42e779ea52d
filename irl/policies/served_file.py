"""The file that names a served policy, where other policies are named by a directory.

url: http://localhost:8000/v1
model: my-model                # as the server calls it
tokenizer: path/or/hub-id      # tokenizer, config.json, generation_config.json; no weights
parity: parity.json            # made by `irl parity`; beside this file
key_env: MY_KEY                # the environment variable that holds the key, if one is needed
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import yaml
from pydantic import Field, ValidationError, field_validator

from irl.config import Settings
from irl.errors import InputError

_SUFFIXES = (".yaml", ".yml")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[a-z_]{1,30}")
"What a setting may be called; anything else may be a key"
_EXPECTED = "an address like http://localhost:8000/v1 is expected"
_HIDDEN = "what stands there is not repeated: it may be a key"


class Served(Settings):
    """Where a policy is served, what reads text for it, and how patiently it is asked."""

    url: str
    model: str = Field(min_length=1)
    tokenizer: str = Field(min_length=1)
    "a directory or hub id; a relative path is taken from the folder of the file first"
    parity: str | None = None
    "the record of `irl parity`, found likewise"
    unchecked: bool = False
    "use the server without a parity record; every report then says so"
    dtype: str | None = None
    "what the server was started with, for the record: the protocol does not tell"
    key_env: str | None = Field(None, min_length=1)
    timeout_seconds: float = Field(120.0, gt=0)
    "without a byte from the server"
    in_flight: int = Field(8, ge=1, le=256)
    "requests at once"
    sequences_per_request: int = Field(8, ge=1, le=1024)
    "when scoring; answers are drawn one per request, each by its own seed"
    attempts: int = Field(10, ge=1, le=100)
    "of one request, the first included"
    first_wait_seconds: float = Field(0.5, ge=0)
    "before the second attempt; each further wait is twice as long"
    longest_wait_seconds: float = Field(60.0, ge=0)
    "what the waits grow to; a server that asks for ten times more is given up"

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        if any(sign in url for sign in "@?#"):
            raise ValueError("nothing but scheme, host, port and path; name the key by key_env")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(f"{_EXPECTED}, with a port from 0 to 65535 if any") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(_EXPECTED)
        try:
            httpx2.URL(url)
            host.removesuffix(".").encode("idna")  # as it is done when its address is looked up
        except (httpx2.InvalidURL, UnicodeError):
            raise ValueError(
                f"{_EXPECTED}, and its host is no name that can be looked up"
            ) from None
        return url.rstrip("/")

    @field_validator("key_env")
    @classmethod
    def _plain_variable(cls, name: str | None) -> str | None:
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError("the name of an environment variable is expected, not the key itself")
        return name


def names_server(source: str) -> bool:
    """Whether this names a file about a served policy."""
    path = Path(source).expanduser()
    return path.suffix in _SUFFIXES and not path.is_dir()


def read_served(source: str) -> Served:
    """Read the file; what stands in it is not repeated, since it might be a key.

    Raises:
        InputError: it cannot be read, or a key or value cannot be used.
    """
    given = _document(source)
    unknown = sorted(given.keys() - Served.model_fields.keys())
    if unknown:
        called = f" {unknown[0]}" if _WORD.fullmatch(unknown[0]) else ""
        raise InputError(
            f"{source} holds the unknown setting{called}; known: "
            f"{', '.join(Served.model_fields)}. A key belongs in an environment variable that "
            "key_env names."
        )
    try:
        return Served.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
    setting = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        raise InputError(f"{source} lacks the setting {setting}.")
    reason = first["msg"].removeprefix("Value error, ")
    raise InputError(
        f"The setting {setting} in {source} cannot be used: {reason[0].lower()}{reason[1:]} "
        f"({_HIDDEN})."
    )


def beside(source: str, named: str) -> str:
    """A path from the folder of the file that names it, if it is there; else as it stands."""
    path = Path(source).expanduser().parent / Path(named).expanduser()
    return str(path) if path.exists() else named


def _document(source: str) -> dict[str, Any]:
    path = Path(source).expanduser()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        kind = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise InputError(
            f"{source} cannot be read as a file about a served policy ({kind}); it holds at least "
            "url, model and tokenizer."
        ) from None
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InputError(f"{source} must hold `key: value` lines: url, model, tokenizer, ...")
    return document
