"""The job `irl segments`: what each segment of a run's answers gains and is paid.

No model is needed: the tokens and their nats are read from responses.parquet and tokens.parquet of
a finished run. What segments gain adds up to the log-ratio of their response, to the last bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, model_validator

from explain.credit import SegmentCredit, mean_credit, opens_with, segment_credit
from explain.cuts import CUTS, Cut, by_delimiters
from explain.tokens import is_special
from irl.bootstrap import codes
from irl.config import Settings
from irl.errors import InputError, RunError
from irl.records import Caveat, SegmentGroup, SegmentsReport
from irl.runs import (
    RunFolder,
    file_sha256,
    find_run,
    now,
    open_run,
    read_record,
    read_run,
    versions,
)

SEGMENTS_FILE: Final = "segments.json"
PLACES: Final = 6
"From the next one on, segments are averaged together"
ROUNDING_NATS: Final = 1e-6
"Per token: what a sum may be off by; more, and the two tables are not of one run"
_RESPONSES: Final = ("response_id", "prompt_id", "response", "source", "log_ratio_nats")
_TOKENS: Final = ("response_id", "tokens", "aligned_nats", "reference_nats", "paid_for_nats")


class SegmentSettings(Settings):
    """What `irl segments` needs."""

    run: str
    "a finished run that kept its tokens: its folder, its id or the beginning of it"
    by: Literal["sentence", "line", "message", "delimiters"] = "sentence"
    delimiters: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    "a new segment begins with each"
    seed: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _by_delimiters(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("delimiters"):
            return {"by": "delimiters", **given}
        return given

    @model_validator(mode="after")
    def _one_way(self) -> "SegmentSettings":
        if (self.by == "delimiters") != bool(self.delimiters):
            raise ValueError(
                "segments begin at delimiters where some are given (--delimiter '<|reflect|>'), "
                "else at a sentence, line or message; give one or the other"
            )
        return self

    @property
    def cut(self) -> Cut:
        """Where segments begin."""
        return by_delimiters(self.delimiters) if self.delimiters else CUTS[self.by]


@dataclass(frozen=True)
class SegmentsRun:
    """A finished measurement."""

    run: RunFolder
    report: SegmentsReport
    was_finished: bool
    "True if the run was found finished and nothing was done"


def credit_by_segment(
    run: str | Path, *, out: str | Path | None = None, fresh: bool = False, **settings: Any
) -> SegmentsReport:
    """What segments gain and are paid, from a script; `settings` as in `SegmentSettings`.

    Raises:
        InputError: a setting cannot be used, or the run has no tokens with nats of two policies.
        RunError: the run is missing, unfinished or damaged, or the folder cannot be written.
    """
    resolved = SegmentSettings.checked({"run": str(run), **settings})
    return run_segments(resolved, None if out is None else Path(out), fresh=fresh).report


def run_segments(
    settings: SegmentSettings, out: Path | None = None, *, fresh: bool = False
) -> SegmentsRun:
    """Cut the answers of a run and write what segments gain; a finished run is returned."""
    source = find_run(settings.run)
    if (manifest := read_run(source).manifest) is None:
        raise RunError(f"The run {source} is not finished; repeat its command to finish it.")
    said = read_said(source)
    names = ("responses.parquet", "tokens.parquet")
    inputs = {name: file_sha256(source / name) for name in names}
    run = open_run("segments", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        kept = read_record(run.path / SEGMENTS_FILE, SegmentsReport)
        return SegmentsRun(run, kept, was_finished=True)
    report = credit_answers(run, settings, said, manifest.run_id)
    run.finish({"responses": report.responses, "segments": report.segments})
    return SegmentsRun(run, report, was_finished=False)


def credit_answers(
    run: RunFolder, settings: SegmentSettings, said: Sequence["Said"], of_run: str
) -> SegmentsReport:
    """Cut answers and write what their segments gain; segments.json comes last.

    Args:
        run: where segments.parquet and segments.json go.
        settings: where segments begin, and the folder that the answers are of.
        said: the answers.
        of_run: the id of their run.
    """
    credited = Credited.of(said, settings)
    report = SegmentsReport(
        schema="irl.segments/1",
        run_id=run.run_id,
        of_run=of_run,
        created=now(),
        versions=versions(),
        settings=settings.model_dump(mode="json"),
        by=settings.by,
        responses=len(said),
        segments=sum(map(len, credited.segments)),
        largest_gap_nats=credited.largest_gap_nats(settings.run),
        groups=list(credited.groups()),
        caveats=_caveats(said),
    )
    run.write_table("segments.parquet", credited.table())
    run.write_text(SEGMENTS_FILE, report.to_json())
    return report


@dataclass(frozen=True)
class Said:
    """A response of a run with what its tokens hold."""

    response_id: str
    prompt_id: str
    response: str
    source: str
    log_ratio_nats: float
    tokens: list[str]
    gained: NDArray[np.float64]
    "not tokens.parquet's own column: that is rounded, while the sum over the response is not"
    paid: list[float] | None

    def pieces(self, delimiters: Sequence[str]) -> list[str]:
        """The text of each token; a special token counts as text where it is a delimiter."""
        return [
            "" if is_special(piece, self.response) and piece.strip() not in delimiters else piece
            for piece in self.tokens
        ]


def read_said(run: Path) -> list[Said]:
    """The responses of a run, in order.

    Raises:
        InputError: the run has kept no tokens, or has not scored them under two policies.
        RunError: its tables are not of one run.
    """
    try:
        rows = pq.read_table(run / "responses.parquet", columns=list(_RESPONSES)).to_pylist()
        own = pq.read_table(run / "tokens.parquet", columns=list(_TOKENS)).to_pylist()
    except (OSError, ValueError, KeyError, pa.ArrowException):
        raise InputError(
            f"The run {run} has kept no tokens with their nats; give a run of irl audit, recover "
            "(from a pair) or score that has its responses.parquet and tokens.parquet."
        ) from None
    tokens: dict[str, Mapping[str, Any]] = {row["response_id"]: row for row in own}
    if [row["response_id"] for row in rows] != list(tokens) or not rows:
        raise RunError(f"The tables of {run} do not hold the same responses.")
    if any(row["log_ratio_nats"] is None for row in rows):
        raise InputError(f"The run {run} has no log-ratios; segments gain those of their tokens.")
    said = [Said(**row, **_nats(tokens[row["response_id"]])) for row in rows]
    no_term = not any(nats for one in said for nats in one.paid or [])
    return [replace(one, paid=None) for one in said] if no_term else said


def _nats(row: Mapping[str, Any]) -> dict[str, Any]:
    ours, theirs = (np.array(row[f"{side}_nats"], dtype=float) for side in ("aligned", "reference"))
    return {"tokens": row["tokens"], "gained": ours - theirs, "paid": row["paid_for_nats"]}


@dataclass(frozen=True)
class Credited:
    """Responses with the credit of their segments."""

    said: Sequence[Said]
    segments: list[list[SegmentCredit]]
    settings: SegmentSettings

    @classmethod
    def of(cls, said: Sequence[Said], settings: SegmentSettings) -> "Credited":
        """Cut every response."""
        cut, delimiters = settings.cut, settings.delimiters
        segments = [
            segment_credit(one.pieces(delimiters), one.gained.tolist(), one.paid, cut)
            for one in said
        ]
        return cls(said, segments, settings)

    @cached_property
    def prompt(self) -> NDArray[np.int64]:
        """Prompt number of each response."""
        return codes([one.prompt_id for one in self.said])

    def largest_gap_nats(self, run: str) -> float:
        """How far the segments of a response are from its log-ratio at most.

        Raises:
            RunError: further than sums of these tokens could be.
        """
        gaps = [
            abs(sum(part.value_gained_nats for part in row) - one.log_ratio_nats)
            for one, row in zip(self.said, self.segments, strict=True)
        ]
        for one, gap in zip(self.said, gaps, strict=True):
            if not gap <= ROUNDING_NATS * max(len(one.tokens), 1):
                raise RunError(
                    f"In {run} the tokens of response {one.response_id} do not add up to its "
                    f"log-ratio (they are {gap:.3g} nats apart); its tables are damaged."
                )
        return max(gaps)

    def groups(self) -> Iterator[SegmentGroup]:
        """Means by what segments open with, or by their place, for the answers of each source."""
        delimiters, sources = self.settings.delimiters, [one.source for one in self.said]
        names = [
            [opens_with(one.text, delimiters) if delimiters else _place(at) for at, one in row]
            for row in map(enumerate, self.segments)
        ]
        expected = ["", *delimiters] if delimiters else [_place(at) for at in range(PLACES + 1)]
        for source in dict.fromkeys(sources):
            own = [at for at, other in enumerate(sources) if other == source]
            for name in dict.fromkeys(expected):
                chosen = [
                    [
                        part
                        for part, group in zip(self.segments[at], names[at], strict=True)
                        if group == name
                    ]
                    for at in own
                ]
                found = mean_credit(chosen, self.prompt[own], self.settings.seed)
                if found.segments or name in delimiters:
                    yield SegmentGroup(source=source, name=name, **vars(found))

    def table(self) -> pa.Table:
        """segments.parquet: one row per segment, in order."""
        rows = [
            {
                "response_id": one.response_id,
                "prompt_id": one.prompt_id,
                "source": one.source,
                "segment": number,
                "text": part.text,
                "opening": opens_with(part.text, self.settings.delimiters) or None,
                "first_token": part.tokens.start,
                "n_tokens": len(part.tokens),
                "value_gained_nats": part.value_gained_nats,
                "paid_for_nats": part.paid_for_nats,
            }
            for one, row in zip(self.said, self.segments, strict=True)
            for number, part in enumerate(row)
        ]
        return pa.Table.from_pylist(rows, schema=SEGMENTS)


SEGMENTS = pa.schema(
    [(name, pa.string()) for name in ("response_id", "prompt_id", "source")]
    + [("segment", pa.int32()), ("text", pa.string()), ("opening", pa.string())]
    + [(name, pa.int32()) for name in ("first_token", "n_tokens")]
    + [(name, pa.float64()) for name in ("value_gained_nats", "paid_for_nats")],
    metadata={"schema": "irl.segments/1"},
)


def _place(at: int) -> str:
    """Of a segment in its response, counted from 1."""
    return str(at + 1) if at < PLACES else f"{PLACES + 1} and later"


def _caveats(said: Sequence[Said]) -> list[Caveat]:
    found = {
        "divergence-in-every-mean": "In answers that a policy drew itself, what segments gain is "
        "on average above 0 for the aligned policy and below 0 for the reference, whatever is "
        "paid: it is a Kullback-Leibler divergence. Compare segments with each other, not with 0.",
        "gained-is-not-paid": "A segment gains what it promises (Q - V): where the policy decided, "
        "not where the reward is paid.",
    }
    if any(one.paid for one in said):
        found["paid-is-a-gauge"] = (
            "What a segment is paid is the fitted reward at the words that carry it: a gauge "
            "choice, of which only the sum over an answer is a matter of fact."
        )
    else:
        found["not-measured-paid-for"] = (
            "The run has recovered no reward of words, or found no term, so nothing is paid to "
            "segments."
        )
    return [Caveat(code=code, text=text) for code, text in found.items()]
