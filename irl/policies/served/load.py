"""Load a served policy: only with a record that it agrees with its checkpoint, and still does."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from transformers import AutoConfig, GenerationConfig

from irl.config import Loading
from irl.errors import InputError, PolicyError, first_line
from irl.policies.checkpoint import Location, files_sha256, locate
from irl.policies.load import read_tokenizer
from irl.policies.served.client import Client
from irl.policies.served.policy import Reader, ServedPolicy
from irl.policies.served_file import Served, beside, read_served
from irl.records import Checkpoint, ParityRecord
from irl.tensors import TokenSequence


def load_served(
    source: str, loading: Loading, revision: str | None = None, *, checked: bool = True
) -> ServedPolicy:
    """A served policy.

    Args:
        source: the file about it.
        loading: how its tokenizer is read.
        revision: of the tokenizer, if that is a hub id.
        checked: ask for its parity record and score the probes again; `irl parity` makes one.

    Raises:
        InputError: the file or the record cannot be used.
        PolicyError: the tokenizer cannot be read, the server does not serve this model, the record
            did not pass or is about something else, or the probes no longer agree.
        ServerError: the server does not answer.
    """
    served = read_served(source)
    location, reads = _reading(source, served, revision)
    record = _record(source, served, reads) if checked else None
    reader = _reader(location, loading, reads)
    client = Client(served)
    tokens = _served_tokens(client)
    about = Checkpoint(
        source=source,
        sha256=_identity(served, reads, record),
        dtype="served",
        n_parameters=record.local.n_parameters if record else 0,
    )
    policy = ServedPolicy(client, reader, about, record, tokens)
    if record is not None:
        _refuse_changed(policy, record)
    return policy


def served_sha256(source: str, revision: str | None = None) -> str:
    """What a run depends on, from the file and the record alone: the server is not asked.

    Args:
        source: the file about it.
        revision: of the tokenizer, if that is a hub id.

    Raises:
        InputError: the file or the record cannot be used.
        PolicyError: there is no such tokenizer, or the record did not pass.
    """
    served = read_served(source)
    _, reads = _reading(source, served, revision)
    return _identity(served, reads, _record(source, served, reads))


def server_version(policy: ServedPolicy) -> str | None:
    """What the server says of its version, as vLLM does; None if it says nothing."""
    said = (policy.client.get("/version") or {}).get("version")
    return policy.client.plain(said) if isinstance(said, str) else None


def _reading(source: str, served: Served, revision: str | None) -> tuple[Location, str]:
    """Where that lies which reads text for it, and its hash."""
    location = locate(beside(source, served.tokenizer), revision, weights=False)
    return location, files_sha256(location.folder, weights=False)


def _record(source: str, served: Served, reads: str) -> ParityRecord | None:
    if served.unchecked:
        if served.parity is not None:
            raise InputError(f"{source} gives both parity and unchecked; leave one of them out.")
        return None
    if served.parity is None:
        raise PolicyError(
            f"{source} names no parity record, so nothing says that the server scores as its "
            f"checkpoint does; make one with `irl parity --served {source} --local CHECKPOINT "
            "--prompts FILE --out parity.json` and name it by parity, or set unchecked: true."
        )
    record = read_parity(beside(source, served.parity))
    if not record.passed:
        raise PolicyError(
            f"The parity record of {source} did not pass: {'; '.join(record.failures)}."
        )
    if (record.model, record.reader_sha256) != (served.model, reads):
        other = f"the model {record.model}" if record.model != served.model else "other files"
        raise PolicyError(
            f"The parity record of {source} is about {other} than is named there (tokenizer and "
            "configurations count); make it again."
        )
    return record


def read_parity(file: str) -> ParityRecord:
    """A parity record.

    Raises:
        InputError: there is none, or it is damaged or of another version.
    """
    try:
        return ParityRecord.model_validate_json(Path(file).expanduser().read_bytes())
    except (OSError, ValidationError):
        raise InputError(
            f"The parity record {file} is missing, damaged or of another version; `irl parity` "
            "makes one."
        ) from None


def _reader(location: Location, loading: Loading, reads: str) -> Reader:
    folder = str(location.folder)
    trusted = loading.trust_remote_code
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trusted)
        own = (location.folder / "generation_config.json").is_file()
        generation = (
            GenerationConfig.from_pretrained(folder)
            if own
            else GenerationConfig.from_model_config(config)
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise PolicyError(
            f"The configuration in {location.source} cannot be read ({first_line(error)}); it "
            "belongs beside the tokenizer of a served policy, without the weights."
        ) from None
    return Reader(read_tokenizer(location, loading), config, generation, reads)


def _served_tokens(client: Client) -> int | None:
    """The longest prompt and answer together; None where the server does not tell.

    Raises:
        PolicyError: it lists its models, and this is none of them.
    """
    listed = (client.get("/models") or {}).get("data")
    if not isinstance(listed, list):
        return None
    models: dict[str, Any] = {str(one.get("id")): one for one in listed if isinstance(one, dict)}
    name = client.served.model
    if name not in models:
        known = client.plain(", ".join(models)) or "none"
        raise PolicyError(f"The server {client.served.url} serves no model {name}, but: {known}.")
    longest = models[name].get("max_model_len")
    return longest if isinstance(longest, int) and longest > 1 else None


def _refuse_changed(policy: ServedPolicy, record: ParityRecord) -> None:
    sequences = [TokenSequence(one.prompt_ids, one.response_ids) for one in record.probes]
    gaps = [
        abs(here - stored)
        for row, probe in zip(policy.nats(sequences), record.probes, strict=True)
        for here, stored in zip(row.tolist(), probe.local_nats, strict=True)
    ]
    if not max(gaps) <= record.tolerance_nats:
        raise PolicyError(
            f"The server of {policy.checkpoint.source} no longer scores as when its parity record "
            f"was made: a token of the probes is off by {max(gaps):.2g} nats, allowed are "
            f"{record.tolerance_nats:g}; it may hold other weights. Make the record again."
        )


def _identity(served: Served, reads: str, record: ParityRecord | None) -> str:
    """What a run depends on: not the address, which may change while the policy stays."""
    known = None
    if record is not None:
        made = (record.server_version, record.served_dtype, record.tolerance_nats)
        known = [record.local.sha256, *made]
    document = json.dumps([served.model, reads, known])
    return hashlib.sha256(document.encode()).hexdigest()
