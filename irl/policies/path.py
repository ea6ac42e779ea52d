"""How a policy is scored, and what is known of the errors of it."""

from dataclasses import dataclass


@dataclass
class ScoringPath:
    """What a policy's sequences have shown so far; one per policy, and it only ever gets safer."""

    checked_tokens: int = 0
    "sequences up to this length were found to score alike in packed rows and padded batches"
    gap_nats: float = 0.0
    "the largest difference that was found, per response"
    failed_tokens: int | None = None
    "from this length on they did not; None if they always did"
    plain_because: str | None = None
    "how they did not"
    row_tokens: int | None = None
    "what a row may hold since memory ran out; None if it never did"
    precision_nats: float | None = None
    "mean difference of a response's nats from float32; None where the weights are float32"

    def take(self, other: "ScoringPath") -> None:
        """What another process found of the same policy; what is known here stays."""
        self.checked_tokens = max(self.checked_tokens, other.checked_tokens)
        self.gap_nats = max(self.gap_nats, other.gap_nats)
        if self.precision_nats is None:
            self.precision_nats = other.precision_nats
        if self.plain_because is None:
            self.plain_because = other.plain_because
        self.failed_tokens = _least(self.failed_tokens, other.failed_tokens)
        self.row_tokens = _least(self.row_tokens, other.row_tokens)

    def facts(self) -> dict[str, object]:
        """For the log of a run."""
        return {
            "path": "packed" if self.plain_because is None else "plain",
            "plain_because": self.plain_because,
            "gap_nats": self.gap_nats,
            "row_tokens_after_out_of_memory": self.row_tokens,
            "precision_nats": self.precision_nats,
        }


def _least(one: int | None, other: int | None) -> int | None:
    known = [number for number in (one, other) if number is not None]
    return min(known, default=None)
