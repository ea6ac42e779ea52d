"""`irl segments`: sums telescope, delimiters part answers, and no model is needed."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from explain.jobs.segment_credit import SegmentSettings, credit_by_segment, run_segments
from explain.segment_words import segments_summary
from irl.errors import InputError, RunError
from irl.records import SegmentsReport
from irl.runs import open_run
from tests.explain.tables import END, tables
from tests.test_command_line import assert_refused, irl

REFLECT = "<|reflect|>"
_NATS = (0.1, -0.7, 1.3e-5, 2.25, -3.4, 0.3)


def _answer(prompt: str, source: str, *pieces: str, paid: float | None = 0.5) -> dict[str, object]:
    nats = (_NATS * len(pieces))[: len(pieces)]
    tokens = [(text, paid, value) for text, value in zip(pieces, nats, strict=True)]
    return {"prompt": prompt, "source": source, "reward": None, "tokens": tokens}


_ROWS = [
    _answer("p", "aligned", "so", ".", REFLECT, " no", ".", END),
    _answer("p", "reference", "yes", ".", " why", "?", END),
    _answer("q", "aligned", REFLECT, " wait", REFLECT, END),
    _answer("q", "reference", "so", " be", " it", END),
]


def _run(folder: Path, responses: pa.Table, tokens: pa.Table) -> Path:
    """A finished run whose tokenizer knows REFLECT as a special token: no response holds it."""
    ours, theirs = (tokens[f"{side}_nats"].to_pylist() for side in ("aligned", "reference"))
    exact = {
        "response": pc.replace_substring(responses["response"], REFLECT, ""),
        "log_ratio_nats": pa.array(
            [float(np.subtract(a, r).sum()) for a, r in zip(ours, theirs, strict=True)]
        ),
    }
    for name, column in exact.items():
        responses = responses.set_column(responses.column_names.index(name), name, column)
    run = open_run("score", {}, {}, folder)
    run.write_table("responses.parquet", responses)
    run.write_table("tokens.parquet", tokens)
    run.finish({})
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return _run(tmp_path / "source", *tables(_ROWS))


@pytest.mark.parametrize("by", ["sentence", "line", "message", "delimiters"])
def test_segments_add_up_to_their_responses_to_the_last_bit(
    source: Path, tmp_path: Path, by: str
) -> None:
    given = {"delimiters": [REFLECT]} if by == "delimiters" else {"by": by}
    report = credit_by_segment(source, out=tmp_path / by, **given)
    assert (report.by, report.largest_gap_nats, report.responses) == (by, 0.0, 4)
    written = pq.read_table(tmp_path / by / "segments.parquet").to_pylist()
    assert len(written) == report.segments == sum(one.segments for one in report.groups)
    for row in pq.read_table(source / "responses.parquet").to_pylist():
        own = [part for part in written if part["response_id"] == row["response_id"]]
        assert sum(part["value_gained_nats"] for part in own) == row["log_ratio_nats"]
        assert sum(part["n_tokens"] for part in own) == row["n_tokens"]
        assert sum(part["paid_for_nats"] for part in own) == 0.5 * row["n_tokens"]
        assert [part["segment"] for part in own] == list(range(len(own)))


def test_a_special_token_that_is_named_opens_a_segment(source: Path, tmp_path: Path) -> None:
    never = "<|never|>"
    report = credit_by_segment(source, out=tmp_path / "run", delimiters=(REFLECT, never))
    counts = {(one.source, one.name): one.segments for one in report.groups}
    assert counts == {
        ("aligned", ""): 1,
        ("aligned", REFLECT): 3,
        ("aligned", never): 0,
        ("reference", ""): 2,
        ("reference", REFLECT): 0,
        ("reference", never): 0,
    }
    (reflecting,) = [one for one in report.groups if (one.source, one.name) == ("aligned", REFLECT)]
    gained = [sum(_NATS[2:]), sum(_NATS[:2]), sum(_NATS[2:4])]
    assert reflecting.value_gained_nats is not None
    assert reflecting.value_gained_nats.value == pytest.approx(sum(gained) / 3, abs=1e-6)
    assert reflecting.value_gained_nats.n == 2
    assert reflecting.paid_for_nats is not None
    assert reflecting.paid_for_nats.value == pytest.approx(0.5 * 8 / 3)
    rows = pq.read_table(tmp_path / "run" / "segments.parquet").to_pylist()
    assert [row["opening"] for row in rows] == [None, REFLECT, None, REFLECT, REFLECT, None]
    assert rows[1]["text"] == f"{REFLECT} no."
    assert "(before the first)" in segments_summary(report)


def test_a_finished_run_is_returned_and_the_command_prints_what_is_written(
    source: Path, tmp_path: Path
) -> None:
    arguments = ("segments", "--run", source, "--out", tmp_path / "run")
    done = irl(*arguments)
    assert done.code == 0, done.err
    report = SegmentsReport.model_validate_json((tmp_path / "run" / "segments.json").read_bytes())
    assert done.out.startswith(segments_summary(report))
    again = run_segments(SegmentSettings(run=str(source)), tmp_path / "run")
    assert again.was_finished
    assert json.loads(irl(*arguments, "--json").out) == json.loads(report.to_json())
    assert irl("runs", "show", tmp_path / "run").out == segments_summary(report) + "\n"


@pytest.mark.parametrize("paid", [None, 0.0], ids=["no reward", "no term"])
def test_without_a_reward_nothing_is_paid(tmp_path: Path, paid: float | None) -> None:
    rows = [_answer(prompt, "aligned", "so", ".", paid=paid) for prompt in "pq"]
    report = credit_by_segment(_run(tmp_path / "source", *tables(rows)), out=tmp_path / "run")
    (group,) = report.groups
    assert group.paid_for_nats is None
    assert group.value_gained_nats is not None
    assert "not-measured-paid-for" in {caveat.code for caveat in report.caveats}


def test_what_cannot_be_cut_is_refused_in_a_sentence(source: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    refused = ("segments", "--run", source, *out)
    assert_refused(irl(*refused, "--by", "delimiters"), "--delimiter")
    assert_refused(irl(*refused, "--by", "line", "--delimiter", "x"), "one or the other")
    assert_refused(irl(*refused, "--by", "word"), "sentence")
    with pytest.raises(InputError, match="at least 1 character"):
        credit_by_segment(source, delimiters=("",))
    assert not (tmp_path / "run").exists()


def test_damaged_tables_are_refused(source: Path, tmp_path: Path) -> None:
    tokens = pq.read_table(source / "tokens.parquet")
    shifted = tokens.set_column(
        tokens.column_names.index("aligned_nats"), "aligned_nats", tokens["reference_nats"]
    )
    pq.write_table(shifted, source / "tokens.parquet")
    with pytest.raises(RunError, match="do not add up"):
        credit_by_segment(source, out=tmp_path / "a")
    pq.write_table(tokens.slice(1), source / "tokens.parquet")
    with pytest.raises(RunError, match="do not hold the same responses"):
        credit_by_segment(source, out=tmp_path / "b")
    (source / "tokens.parquet").unlink()
    with pytest.raises(InputError, match="has kept no tokens"):
        credit_by_segment(source, out=tmp_path / "c")
    (source / "manifest.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        credit_by_segment(source, out=tmp_path / "d")
