"""Where a checkpoint lies: a local directory, a hub id, or a PEFT adapter directory."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from irl.errors import PolicyError, first_line
from irl.policies.served_file import names_server

_READING = ("*.json", "*.model", "*.jinja", "*.txt", "*.py")
_FILES = (*_READING, "*.safetensors")
_RECORD = "irl.parity/"
"How the schema of a parity record begins: it may lie beside what it is about"


@dataclass(frozen=True)
class Location:
    """A checkpoint on disk."""

    source: str
    "as the user named it"
    folder: Path
    revision: str | None

    @property
    def adapter(self) -> dict[str, Any] | None:
        """The adapter's configuration, or None for a full model."""
        file = self.folder / "adapter_config.json"
        if not file.is_file():
            return None
        return read_json(file)


def locate(source: str, revision: str | None = None, *, weights: bool = True) -> Location:
    """Find a checkpoint; a path that exists wins over a hub id.

    Without `weights` none are downloaded: what reads text is enough.

    Raises:
        PolicyError: there is no such directory or id, or it holds no model.
    """
    folder = Path(source).expanduser()
    if names_server(source) and folder.is_file():
        raise PolicyError(
            f"{source} names a served policy, whose weights are not at hand, and this needs them; "
            "give the checkpoint itself: a directory or hub id."
        )
    if not folder.exists():
        folder = _download(source, revision, _FILES if weights else _READING)
    if not folder.is_dir():
        raise PolicyError(f"{source} is a file; a checkpoint is a directory or a hub id.")
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise PolicyError(
            f"The directory {source} holds no model: neither config.json nor adapter_config.json "
            "is there; give the directory that `save_pretrained` wrote."
        )
    return Location(source, folder, revision)


def locate_base(adapter: Location, revision: str | None = None) -> Location:
    """The base model of an adapter; a relative path is taken from the adapter's folder first.

    The revision that the adapter was trained on wins over the one asked for.
    """
    settings = adapter.adapter or {}
    named = settings.get("base_model_name_or_path")
    if not named:
        raise PolicyError(
            f"The adapter {adapter.source} does not name its base model "
            "(base_model_name_or_path in adapter_config.json); give --reference."
        )
    beside = adapter.folder / named
    source = str(beside) if beside.is_dir() else named
    base = locate(source, settings.get("revision") or revision)
    if base.adapter is not None:
        raise PolicyError(
            f"The base {named} of the adapter {adapter.source} is itself an adapter; merge one of "
            "them into a full checkpoint."
        )
    return base


def files_sha256(*folders: Path, weights: bool = True) -> str:
    """One hash over names and contents of what defines the model in these folders.

    Parity records do not: they name this hash, so they cannot be part of it.
    """
    total = hashlib.sha256()
    patterns = _FILES if weights else _READING
    for folder in folders:
        files = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
        for file in sorted(file for file in files if not _is_record(file)):
            total.update(file.name.encode())
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a checkpoint's file."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyError(f"{file} cannot be read as JSON ({error}).") from None
    if not isinstance(document, dict):
        raise PolicyError(f"{file} must hold a JSON object.")
    return document


def _is_record(file: Path) -> bool:
    if file.suffix != ".json" or _RECORD.encode() not in (content := file.read_bytes()):
        return False
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and str(document.get("schema")).startswith(_RECORD)


def _download(source: str, revision: str | None, files: Sequence[str]) -> Path:
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(files)))
    except HFValidationError:
        raise PolicyError(
            f"There is no directory {source}, and it is not a hub id (owner/name) either."
        ) from None
    except LocalEntryNotFoundError:
        raise PolicyError(
            f"There is no directory {source}, and no hub model of that name is in the local cache "
            "or within reach; check the path, or download the model first."
        ) from None
    except (HfHubHTTPError, OSError) as error:
        reason = first_line(error)
        raise PolicyError(
            f"There is no directory {source}, and the hub did not give a model of that name "
            f"({reason}); check the spelling."
        ) from None
