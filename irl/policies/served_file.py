"""The file that names a served policy, where other policies are named by a directory.

url: http://localhost:8000/v1
model: my-model                # as the server calls it
tokenizer: path/or/hub-id      # tokenizer, config.json, generation_config.json; no weights
parity: parity.json            # made by `irl parity`; beside this file
key_env: MY_KEY                # the environment variable that holds the key, if one is needed
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import Field, field_validator

from irl.config import Settings
from irl.errors import InputError

_SUFFIXES = (".yaml", ".yml")


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
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address like http://localhost:8000/v1 is expected")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("nothing but scheme, host, port and path; name the key by key_env")
        return url.rstrip("/")


def names_server(source: str) -> bool:
    """Whether this names a file about a served policy."""
    path = Path(source).expanduser()
    return path.suffix in _SUFFIXES and not path.is_dir()


def read_served(source: str) -> Served:
    """Read the file; what stands in it is never repeated where it might be a key.

    Raises:
        InputError: it cannot be read, or a key or value cannot be used.
    """
    given = _document(source)
    unknown = sorted(given.keys() - Served.model_fields.keys())
    if unknown:
        raise InputError(
            f"{source} holds the unknown setting {unknown[0]}; known: "
            f"{', '.join(Served.model_fields)}. A key belongs in an environment variable that "
            "key_env names."
        )
    if "@" in (url := str(given.get("url"))):
        raise InputError(
            f"The url in {source} holds a user name or key before {url.rpartition('@')[2]}; put "
            "the key into an environment variable and name that by key_env."
        )
    try:
        return Served.checked(given)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


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
