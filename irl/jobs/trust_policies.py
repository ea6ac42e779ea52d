"""Whose answers are asked about, and who wrote what a reward was fitted to.

What `irl audit` sampled was written by two policies, as much by one as by the other: its density is
the mean of theirs, ln data(y) = ln(sum_i exp(ln policy_i(y))) - ln k for k policies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.special import logsumexp

from irl.config import Loading, Sampling
from irl.engine.scoring import response_nats
from irl.errors import InputError
from irl.jobs.trust_grounds import Grounds
from irl.jobs.trust_settings import TrustSettings
from irl.policies.checkpoint import files_sha256, locate, locate_base
from irl.policies.load import load_full
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.policy import Policy
from irl.policies.served.load import served_sha256
from irl.policies.served_file import names_server
from irl.records import AuditReport, Pair, RecoveryReport
from irl.runs import as_named, read_record
from irl.tensors import TokenSequence

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Policies:
    """The policy in question, where it is known, and those that wrote the data in equal shares."""

    policy: Policy | None
    data: tuple[Policy, ...]

    @classmethod
    def of_audit(cls, pair: PolicyPair) -> "Policies":
        """The aligned policy, asked about by what both sides of a pair wrote."""
        return cls(pair.aligned, (pair.reference, pair.aligned))

    @property
    def reader(self) -> Policy:
        """Whose tokens and hidden states speak of the data."""
        return self.data[0]

    @property
    def renders(self) -> Policy:
        """Whose chat template prompts go through: the data's, as a pair does it, if it has one."""
        named = (*reversed(self.data), self.policy)
        return next((one for one in named if one and one.tokenizer.chat_template), self.reader)

    @property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a response under any of them."""
        return frozenset().union(*(one.eos_ids for one in self.every))

    @property
    def written_by(self) -> str:
        """The names of those that wrote the data."""
        return " and ".join(one.checkpoint.source for one in self.data)

    @property
    def every(self) -> tuple[Policy, ...]:
        """All of them, each once."""
        named = self.data if self.policy is None else (*self.data, self.policy)
        return tuple(dict.fromkeys(named))

    @property
    def context_tokens(self) -> int:
        """The longest sequence that all can read."""
        return min(one.context_tokens for one in self.every)

    def nats(
        self, sequences: Sequence[TokenSequence], sampling: Sampling
    ) -> tuple[Array, Array | None]:
        """Log-probability of each under the data's policies together, and under the policy."""
        known = {id(one): response_nats(one, sequences, sampling) for one in self.data}
        data = mixed(np.stack(list(known.values())))
        if self.policy is None:
            return data, None
        own = known.get(id(self.policy))
        return data, response_nats(self.policy, sequences, sampling) if own is None else own


def mixed(nats: Array) -> Array:
    """Of log-probabilities [policy, sequence], that of their even mixture [sequence]."""
    result: Array = logsumexp(nats, axis=0) - np.log(len(nats))
    return result


def load_policies(settings: TrustSettings, grounds: Grounds) -> Policies:
    """Load them: --reference, else the two of the run whose answers were fitted, else the base.

    Raises:
        InputError: nothing names the data's policy, or answers were drawn at another temperature.
        PolicyError: one cannot be loaded, or they read text in unlike ways.
    """
    if settings.reference is None and grounds.settings.run is not None:
        return _of_run(settings, Path(grounds.settings.run))
    named = settings.reference or grounds.settings.base
    if named is None:
        raise InputError(
            f"The ensemble {settings.reward} reads words, so nothing names the policy that wrote "
            "what it was fitted to; give --reference."
        )
    if settings.policy is None:
        return Policies(None, (load_full(locate(named), settings.loading),))
    pair = load_pair(settings.policy, named, settings.loading)
    return Policies(pair.aligned, (pair.reference,))


def policy_sha256(source: str, revision: str | None = None) -> str:
    """What a run depends on of a policy: its files, with those of an adapter's base."""
    if names_server(source):
        return served_sha256(source, revision)
    location = locate(source, revision)
    base = [] if location.adapter is None else [locate_base(location).folder]
    return files_sha256(location.folder, *base)


def refuse_temperature(temperature: float) -> None:
    """Raise InputError unless answers were drawn as they are scored, at temperature 1."""
    if temperature != 1:
        raise InputError(
            f"The answers that the reward was fitted to were drawn at temperature {temperature:g}; "
            "trust compares policies as they are, at temperature 1. Sample at that."
        )


def _of_run(settings: TrustSettings, run: Path) -> Policies:
    document = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["settings"]
    if document.get("aligned") is None:
        raise InputError(
            f"The run {run} knows samples only, so nothing names the policy that wrote what the "
            "ensemble was fitted to; give --reference."
        )
    refuse_temperature(document["sampling"]["temperature"])
    asked = settings.loading
    here = asked.model_dump(include={"device", "dtype"} & asked.model_fields_set)
    pair = load_pair(*_sides(run, document), Loading.checked(document["loading"] | here))
    _refuse_changed(run, pair)
    if settings.policy is None:
        return Policies(None, (pair.reference, pair.aligned))
    revision = settings.loading.aligned_revision
    if policy_sha256(settings.policy, revision) == pair.aligned.checkpoint.sha256:
        return Policies.of_audit(pair)
    other = load_pair(settings.policy, pair.reference.checkpoint.source, settings.loading)
    return Policies(other.aligned, (pair.reference, pair.aligned))


def _sides(run: Path, document: dict[str, Any]) -> tuple[str, str | None]:
    aligned, reference = document["aligned"], document.get("reference")
    return as_named(run, aligned), None if reference is None else as_named(run, reference)


def _refuse_changed(run: Path, pair: PolicyPair) -> None:
    """A checkpoint that was trained on in its place is not the one that wrote the data."""
    known = _recorded(run)
    for side in ("aligned", "reference"):
        now = getattr(pair, side).checkpoint
        if known is not None and getattr(known, side) is not None:
            then = getattr(known, side).sha256
            if then != now.sha256:
                raise InputError(
                    f"{now.source} has changed since the run {run} sampled from it, so it did not "
                    "write what the reward was fitted to; give the checkpoint that did."
                )


def _recorded(run: Path) -> Pair | RecoveryReport | None:
    """What names the checkpoints of a run; None for one that reports nothing."""
    if (run / "report.json").is_file():
        return read_record(run / "report.json", AuditReport).pair
    if (run / "recovery.json").is_file():
        return read_record(run / "recovery.json", RecoveryReport)
    return None
