"""What may come in, what is refused and with which words."""

import csv
import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irl
from irl.data import (
    LabelledResponse,
    PromptRow,
    RefusedRow,
    SampleRow,
    Table,
    prompt_id,
    read_preferences,
    read_prompts,
    read_samples,
)
from irl.errors import InputError

Row = dict[str, Any]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": TEXTS}),
    min_size=1,
    max_size=3,
)


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}


def write_jsonl(folder: Path, rows: list[Row]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_parquet(folder: Path, rows: list[Row]) -> Path:
    file = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def write_csv(folder: Path, rows: list[Row]) -> Path:
    file = folder / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


WRITERS = pytest.mark.parametrize("write", [write_jsonl, write_parquet, write_csv])


def prompts(table: Table[PromptRow]) -> list[Any]:
    return [row.prompt for row in table.rows]


def labelled(table: Table[LabelledResponse]) -> list[tuple[Any, str, float]]:
    return [(row.prompt, row.response, row.label) for row in table.rows]


def refusals(table: Table[Any]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in table.refused]


def refusal_of(folder: Path, row: Row, good: Row) -> str:
    """Why a preference row is refused that stands on line 2, after a good one."""
    table = read_preferences(write_jsonl(folder, [good, row]))
    (refused,) = table.refused
    assert refused.line == 2
    assert {one.line for one in table.rows} == {1}
    return refused.reason


GOOD_PAIR = {"prompt": "p", "chosen": "c", "rejected": "r"}


# --- the module -----------------------------------------------------------------------------


def test_reading_data_loads_neither_torch_nor_the_libraries_for_models_and_hub() -> None:
    heavy = {"torch", "transformers", "datasets", "pandas"}
    code = f"import irl.data, sys; print(sorted({heavy} & set(sys.modules)))"
    root = Path(str(irl.__file__)).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "result",
    [
        RefusedRow(1, "blank line"),
        PromptRow(1, "id", "p"),
        LabelledResponse(1, "id", "p", "r", 1.0, None, "id"),
        SampleRow(1, "id", "p", "r", "given"),
        Table[PromptRow]((), (), "file", "hash"),
    ],
)
def test_results_are_frozen(result: Any) -> None:
    first = dataclasses.fields(result)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(result, first, None)


# --- sources --------------------------------------------------------------------------------


@WRITERS
def test_every_file_format_gives_the_same_prompts(write: Any, tmp_path: Path) -> None:
    file = write(tmp_path, [{"prompt": 'one, "two"\nthree', "n": 1}, {"prompt": "", "n": 2}])
    table = read_prompts(file)
    assert [(row.line, row.prompt) for row in table.rows] == [(1, 'one, "two"\nthree'), (2, "")]
    assert table.refused == ()
    assert table.source == str(file)
    assert table.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_json_is_read_as_json_lines_and_suffixes_ignore_case(tmp_path: Path) -> None:
    for name in ("a.json", "b.JSONL"):
        (tmp_path / name).write_text('{"prompt": "a"}\n{"prompt": "b"}')
        assert prompts(read_prompts(str(tmp_path / name))) == ["a", "b"]


def test_a_missing_file_is_an_input_error_that_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*missing\.jsonl; give a \.jsonl"):
        read_prompts(tmp_path / "missing.jsonl")


def test_a_missing_file_with_a_known_suffix_is_never_looked_up_on_the_hub() -> None:
    with pytest.raises(InputError, match=r"^There is no file owner/name\.parquet; give"):
        read_prompts("owner/name.parquet")


def test_a_directory_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory; give a"):
        read_prompts(tmp_path)


def test_a_file_that_may_not_be_read_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    file = write_jsonl(tmp_path, [{"prompt": "a"}])
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(.*Permission denied\); give a"):
        read_prompts(file)


@pytest.mark.parametrize("source", ["x" * 400, "a\0b.jsonl"])
def test_a_name_that_no_file_can_have_is_an_input_error(source: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(source)


def test_an_unknown_suffix_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a")
    with pytest.raises(InputError, match=r"rows\.txt ends in \.txt; give a \.jsonl"):
        read_prompts(tmp_path / "rows.txt")


@pytest.mark.parametrize("content", [b"", b"PAR1 but nothing else PAR1", b"plain text"])
def test_a_corrupt_parquet_file_is_an_input_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"is not a readable Parquet file \(.+\); write it again"):
        read_prompts(tmp_path / "rows.parquet")


def test_a_parquet_file_damaged_in_its_data_is_an_input_error(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    rows = pa.table({"prompt": [f"prompt {n}" for n in range(500)]})
    pq.write_table(rows, file, compression="zstd")
    data = bytearray(file.read_bytes())
    data[40:400] = b"\0" * 360
    file.write_bytes(data)
    with pytest.raises(InputError, match="is not a readable Parquet file"):
        read_prompts(file)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_an_empty_file_is_an_input_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\n\n")
    with pytest.raises(InputError, match="has no rows; give a"):
        read_prompts(tmp_path / name)


def test_without_usable_rows_the_error_counts_them_and_gives_the_first_reason(
    tmp_path: Path,
) -> None:
    file = write_jsonl(tmp_path, [{"prompt": None}, {"prompt": 3}])
    with pytest.raises(
        InputError, match=r"no usable row: 2 refused, the first on line 1 \(prompt is null, not"
    ):
        read_prompts(file)


@WRITERS
@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (read_prompts, "prompt or question or input"),
        (read_preferences, r"chosen\+rejected or completion\+label or text\+label \(optional: "),
        (read_samples, r"prompt\+response or prompt\+completion \(optional: source\)"),
    ],
)
def test_missing_columns_are_listed_as_found_and_as_expected(
    write: Any, read: Any, expected: str, tmp_path: Path
) -> None:
    file = write(tmp_path, [{"words": "a", "chosen": "b"}])
    with pytest.raises(InputError, match=f"has the columns words, chosen; expected {expected}"):
        read(file)


def test_a_column_named_twice_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt,prompt\na,b\n")
    with pytest.raises(InputError, match="the column prompt more than once"):
        read_prompts(tmp_path / "rows.csv")


def test_a_column_that_is_not_read_may_be_named_twice(tmp_path: Path) -> None:
    assert prompts(read_bytes(tmp_path, b"prompt,n,n\na,1,2\n", "rows.csv")) == ["a"]


# --- JSON lines -----------------------------------------------------------------------------


def read_bytes(folder: Path, content: bytes, name: str = "rows.jsonl") -> Table[PromptRow]:
    (folder / name).write_bytes(content)
    return read_prompts(folder / name)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "a', "not valid JSON: Unterminated string starting at at column 12"),
        (b'{"prompt": "\xff"}', "not valid UTF-8"),
        (b'["a"]', "a JSON list, but every line must be one JSON object"),
        (b"", "blank line"),
        (b"  \t", "blank line"),
        (b"[" * 100_000, "not readable JSON: maximum recursion depth exceeded"),
        (b'{"prompt": ' + b"9" * 5000 + b"}", "not readable JSON: Exceeds the limit"),
    ],
)
def test_a_broken_line_is_refused_and_the_lines_around_it_go_on(
    line: bytes, reason: str, tmp_path: Path
) -> None:
    table = read_bytes(tmp_path, b'{"prompt": "one"}\n' + line + b'\n{"prompt": "three"}\n')
    assert [(row.line, row.prompt) for row in table.rows] == [(1, "one"), (3, "three")]
    (refused,) = table.refused
    assert refused.line == 2
    assert refused.reason.startswith(reason)


def test_blank_lines_at_the_end_of_a_file_are_skipped(tmp_path: Path) -> None:
    table = read_bytes(tmp_path, b'{"prompt": "a"}\n\n \r\n\n')
    assert (prompts(table), table.refused) == (["a"], ())


@pytest.mark.parametrize(
    ("name", "content"),
    [("rows.jsonl", b'{"prompt": "a"}\r\n{"prompt": "b"}'), ("rows.csv", b"prompt\r\na\r\nb")],
)
def test_a_byte_order_mark_and_windows_line_ends_are_accepted(
    name: str, content: bytes, tmp_path: Path
) -> None:
    table = read_bytes(tmp_path, b"\xef\xbb\xbf" + content, name)
    assert (prompts(table), table.refused) == (["a", "b"], ())


def test_only_a_newline_ends_a_json_line(tmp_path: Path) -> None:
    text = "a\u2028b\x85c\x0cd"
    content = json.dumps({"prompt": text}, ensure_ascii=False).encode()
    assert prompts(read_bytes(tmp_path, content.replace(b"\\f", b"\\u000c"))) == [text]


def same_prompt(written: Any) -> str:
    """Messages are the same whatever the order of their keys, and the second one is left out."""
    return json.dumps(written, sort_keys=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(TEXTS, MESSAGES), min_size=1, max_size=6, unique_by=same_prompt))
def test_prompts_come_back_from_json_lines_and_parquet_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    expected = [tuple(one) if isinstance(one, list) else one for one in written]
    assert prompts(read_prompts(write_jsonl(folder, [{"prompt": p} for p in written]))) == expected
    for kind in (str, list):
        some = [{"prompt": one} for one in written if isinstance(one, kind)]
        if some:
            want = [one for one in expected if isinstance(one, str) == (kind is str)]
            assert prompts(read_prompts(write_parquet(folder, some))) == want


# --- CSV ------------------------------------------------------------------------------------


def test_csv_rows_are_counted_without_the_header_and_bad_rows_are_refused(tmp_path: Path) -> None:
    content = b'prompt,n\n"a\nb",1\n\nshort\nc,1,2\n\xff,1\n"d"e,1\nlast,1\n\n'
    table = read_bytes(tmp_path, content, "rows.csv")
    assert [(row.line, row.prompt) for row in table.rows] == [(1, "a\nb"), (7, "last")]
    assert refusals(table) == [
        (2, "blank line"),
        (3, "1 cells, but the header has 2"),
        (4, "3 cells, but the header has 2"),
        (5, "not valid UTF-8"),
        (6, "not valid CSV: ',' expected after '\"'"),
    ]


def test_a_quote_left_open_is_refused_with_what_it_swallowed(tmp_path: Path) -> None:
    table = read_bytes(tmp_path, b'prompt\na\n"b\nc\n', "rows.csv")
    assert prompts(table) == ["a"]
    assert refusals(table) == [(2, "not valid CSV: unexpected end of data")]


def test_an_unreadable_csv_header_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The header of .*rows\.csv is not valid CSV"):
        read_bytes(tmp_path, b'"prompt"x\na\n', "rows.csv")


def test_csv_cells_keep_words_that_other_readers_take_for_null(tmp_path: Path) -> None:
    words = ["null", "NA", "nan", "None", "1", ""]
    table = read_prompts(write_csv(tmp_path, [{"prompt": word} for word in words]))
    assert prompts(table) == words


def test_a_csv_cell_longer_than_the_default_limit_is_read_and_the_limit_stays(
    tmp_path: Path,
) -> None:
    before = csv.field_size_limit()
    table = read_prompts(write_csv(tmp_path, [{"prompt": "x" * (before + 1)}]))
    assert len(str(table.rows[0].prompt)) == before + 1
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("cell", "prompt"),
    [
        ('[{"role": "user", "content": "a", "name": "x"}]', (user("a"),)),
        ("[]", "[]"),
        ('["a"]', '["a"]'),
        ('[{"role": "user"}]', '[{"role": "user"}]'),
        ('[{"role": "user", "content": 1}]', '[{"role": "user", "content": 1}]'),
        ("[not JSON", "[not JSON"),
        ("[1] cited", "[1] cited"),
    ],
)
def test_a_csv_cell_is_chat_only_if_it_is_a_valid_list_of_messages(
    cell: str, prompt: Any, tmp_path: Path
) -> None:
    assert prompts(read_prompts(write_csv(tmp_path, [{"prompt": cell}]))) == [prompt]


# --- Parquet --------------------------------------------------------------------------------


def test_nulls_in_parquet_are_refused_by_their_row(tmp_path: Path) -> None:
    table = read_prompts(write_parquet(tmp_path, [{"prompt": None}, {"prompt": "a"}]))
    assert [(row.line, row.prompt) for row in table.rows] == [(2, "a")]
    assert refusals(table) == [(1, "prompt is null, not text")]


def test_invalid_utf8_in_a_parquet_value_refuses_that_row_only(tmp_path: Path) -> None:
    values = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"prompt": values}), tmp_path / "rows.parquet")
    table = read_prompts(tmp_path / "rows.parquet")
    assert [(row.line, row.prompt) for row in table.rows] == [(1, "a"), (3, "c")]
    assert refusals(table) == [(2, "not valid UTF-8")]


def test_a_parquet_value_that_python_cannot_hold_refuses_that_row_only(tmp_path: Path) -> None:
    times = pa.array([1, 2**62]).cast(pa.timestamp("us"))
    table = pa.table({"prompt": ["a", "b"], "question": times})
    pq.write_table(table, tmp_path / "rows.parquet")
    read = read_prompts(tmp_path / "rows.parquet")
    assert prompts(read) == ["a"]
    assert refusals(read) == [(2, "not readable: date value out of range")]


def test_a_parquet_file_with_column_names_that_are_not_utf8_is_an_input_error(
    tmp_path: Path,
) -> None:
    file = write_parquet(tmp_path, [{"prompt": "a"}])
    file.write_bytes(file.read_bytes().replace(b"prompt", b"pr\xffmpt"))
    with pytest.raises(InputError, match="is not a readable Parquet file"):
        read_prompts(file)


# --- the hub --------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A hub where every dataset holds the same two rows; what was asked of it."""
    import datasets  # here, because it is slow

    asked: list[tuple[str, str]] = []

    def load_dataset(name: str, split: str) -> Any:
        asked.append((name, split))
        if split == "none":
            raise ValueError('Unknown split "none".\nShould be one of train')
        return datasets.Dataset.from_list(
            [{"question": "q", "prompt": "a", "n": 1}, {"question": "q", "prompt": None, "n": 2}]
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_a_hub_id_reads_the_split_train_or_the_one_after_the_colon(
    hub: list[tuple[str, str]],
) -> None:
    table = read_prompts("owner/some.name-1")
    read_prompts(Path("owner/name:test[:10]"))
    assert hub == [("owner/some.name-1", "train"), ("owner/name", "test[:10]")]
    assert [(row.line, row.prompt) for row in table.rows] == [(1, "a")]
    assert refusals(table) == [(2, "prompt is null, not text")]
    assert table.source == "owner/some.name-1"


def test_the_hash_of_a_hub_dataset_is_that_of_its_canonical_rows(
    hub: list[tuple[str, str]],
) -> None:
    canonical = b'[{"prompt":"a","question":"q"},{"prompt":null,"question":"q"}]'
    assert read_prompts("owner/name").sha256 == hashlib.sha256(canonical).hexdigest()
    assert len(hub) == 1


def test_a_hub_dataset_that_cannot_be_loaded_is_an_input_error_in_one_sentence(
    hub: list[tuple[str, str]],
) -> None:
    with pytest.raises(
        InputError,
        match=r"no file owner/name:none, .* split none .* owner/name cannot be loaded \(Unknown "
        r'split "none"\. Should',
    ) as caught:
        read_prompts("owner/name:none")
    assert "\n" not in str(caught.value)
    assert hub == [("owner/name", "none")]


def test_a_hub_dataset_without_the_columns_is_an_input_error(hub: list[tuple[str, str]]) -> None:
    with pytest.raises(
        InputError, match=r"owner/name has the columns question, prompt, n; expected"
    ):
        read_preferences("owner/name")
    assert hub


def test_an_existing_path_is_never_looked_up_on_the_hub(
    hub: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="owner/name is a directory"):
        read_prompts("owner/name")
    assert hub == []


# --- prompts --------------------------------------------------------------------------------


def test_prompt_wins_over_question_and_question_over_input(tmp_path: Path) -> None:
    rows = [
        {"input": "i1", "question": "q1", "prompt": "p1"},
        {"input": "i2", "question": "q2"},
        {"input": "i3"},
        {"other": "o4"},
    ]
    table = read_prompts(write_jsonl(tmp_path, rows))
    assert prompts(table) == ["p1", "q2", "i3"]
    assert refusals(table) == [(4, "prompt is missing")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("null", "prompt is null, not text"),
        ("NaN", "prompt is NaN, not text"),
        ("3", "prompt is of type int, not text"),
        ('{"role": "user"}', "prompt is of type dict, not text"),
        (r'"\ud800"', "prompt holds half of a surrogate pair, which is not valid Unicode"),
        ("[]", "prompt is an empty list"),
        ('["a"]', "prompt[0] is not a message with a role and a content that are text"),
        ('[{"role": "user", "content": null}]', "prompt[0] is not a message with a role and a "),
        ('[{"content": "a"}]', "prompt[0] is not a message with a role and a content"),
        (r'[{"role": "user", "content": "\ud800"}]', "prompt[0].content holds half of a surrog"),
    ],
)
def test_a_prompt_that_is_neither_text_nor_messages_is_refused(
    value: str, reason: str, tmp_path: Path
) -> None:
    table = read_bytes(tmp_path, f'{{"prompt": "a"}}\n{{"prompt": {value}}}'.encode())
    (refused,) = table.refused
    assert refused.line == 2
    assert refused.reason.startswith(reason)


def test_messages_keep_only_role_and_content(tmp_path: Path) -> None:
    rows = [{"prompt": [{**system("s"), "name": "x"}, {**user("a"), "tool_calls": None}]}]
    for write in (write_jsonl, write_parquet):
        assert prompts(read_prompts(write(tmp_path, rows))) == [(system("s"), user("a"))]


def test_prompts_may_have_a_type(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "prompt_type": "opinion"}, {"prompt": "b", "prompt_type": None}]
    table = read_prompts(write_jsonl(tmp_path, [*rows, {"prompt": "c"}]))
    assert [row.prompt_type for row in table.rows] == ["opinion", None, None]


@WRITERS
def test_every_file_format_gives_the_same_types(write: Any, tmp_path: Path) -> None:
    rows = [{"prompt": "a", "prompt_type": "opinion"}, {"prompt": "b", "prompt_type": None}]
    table = read_prompts(write(tmp_path, rows))
    assert [row.prompt_type for row in table.rows] == ["opinion", None]


@pytest.mark.parametrize(
    ("kind", "found"), [(3, "int"), (["opinion"], "list"), ({}, "dict"), (True, "bool")]
)
def test_a_type_that_is_not_text_is_refused(kind: Any, found: str, tmp_path: Path) -> None:
    rows = [{"prompt": "a"}, {"prompt": "b", "prompt_type": kind}]
    table = read_prompts(write_jsonl(tmp_path, rows))
    assert refusals(table) == [(2, f"prompt_type is of type {found}, not text")]


def test_labelled_responses_may_have_the_type_of_their_prompt(tmp_path: Path) -> None:
    typed = [{**GOOD_PAIR, "prompt_type": "opinion"}, {"text": "t", "label": 1}]
    table = read_preferences(write_jsonl(tmp_path, typed))
    assert [row.prompt_type for row in table.rows] == ["opinion", "opinion", None]
    reason = refusal_of(tmp_path, {**GOOD_PAIR, "prompt_type": 3}, GOOD_PAIR)
    assert reason == "prompt_type is of type int, not text"


def test_a_repeated_prompt_is_refused_with_the_line_of_the_first(tmp_path: Path) -> None:
    rows: list[Row] = [{"prompt": one} for one in ("a", "b", "a", [user("a")], [user("a")], "a")]
    table = read_prompts(write_jsonl(tmp_path, rows))
    assert [row.line for row in table.rows] == [1, 2, 4]
    assert refusals(table) == [
        (3, "same prompt as line 1"),
        (5, "same prompt as line 4"),
        (6, "same prompt as line 1"),
    ]


def test_prompt_ids_are_twelve_digits_of_the_sha256_of_the_canonical_json() -> None:
    # printf '%s' '"\u00e4"' | sha256sum; printf '[{"content":"a","role":"user"}]' | sha256sum
    assert prompt_id("ä") == hashlib.sha256(rb'"\u00e4"').hexdigest()[:12] == "fcffd6cc332f"
    canonical = b'[{"content":"a","role":"user"}]'
    assert prompt_id((user("a"),)) == hashlib.sha256(canonical).hexdigest()[:12] == "5168bd634e48"


@given(st.one_of(TEXTS, MESSAGES.map(tuple)), st.one_of(TEXTS, MESSAGES.map(tuple)))
def test_prompt_ids_are_equal_exactly_where_prompts_are(one: Any, other: Any) -> None:
    assert (prompt_id(one) == prompt_id(other)) == (one == other)


@given(MESSAGES)
def test_prompt_ids_ignore_the_order_of_keys(messages: list[dict[str, str]]) -> None:
    turned = tuple({"content": one["content"], "role": one["role"]} for one in messages)
    assert prompt_id(turned) == prompt_id(tuple(messages))


def test_rows_carry_the_id_of_their_prompt(tmp_path: Path) -> None:
    (row,) = read_prompts(write_jsonl(tmp_path, [{"prompt": [user("a")]}])).rows
    assert row.prompt_id == prompt_id((user("a"),))


# --- preferences: pairs with a prompt -------------------------------------------------------


@WRITERS
def test_an_explicit_pair_becomes_two_labelled_responses(write: Any, tmp_path: Path) -> None:
    rows = [GOOD_PAIR, {"prompt": "p", "chosen": "", "rejected": "x"}]
    table = read_preferences(write(tmp_path, rows))
    name = prompt_id("p")
    assert table.rows == (
        LabelledResponse(1, name, "p", "c", 1.0, "1", name),
        LabelledResponse(1, name, "p", "r", 0.0, "1", name),
        LabelledResponse(2, name, "p", "", 1.0, "2", name),
        LabelledResponse(2, name, "p", "x", 0.0, "2", name),
    )
    assert table.refused == ()


@pytest.mark.parametrize("name", ["prompt", "question", "input"])
def test_rewardbench_names_of_the_prompt_are_read(name: str, tmp_path: Path) -> None:
    rows = [{name: "p", "chosen": "c", "rejected": "r", "subset": "s"}]
    for write in (write_jsonl, write_parquet, write_csv):
        assert labelled(read_preferences(write(tmp_path, rows))) == [("p", "c", 1), ("p", "r", 0)]


def test_rewardbench_messages_hold_the_prompt(tmp_path: Path) -> None:
    rows = [{"messages": [user("u")], "chosen": "c", "rejected": "r"}]
    expected = [((user("u"),), "c", 1.0), ((user("u"),), "r", 0.0)]
    assert labelled(read_preferences(write_jsonl(tmp_path, rows))) == expected


PROMPTS_AND_EARLIER_TURNS = [
    pytest.param([user("u")], [], (user("u"),), id="a chat prompt stays"),
    pytest.param("u", [], (user("u"),), id="a text prompt becomes the user's message"),
    pytest.param("", [], "", id="an empty prompt stays empty"),
    pytest.param("", [user("u")], (user("u"),), id="earlier messages are the prompt"),
    pytest.param(
        [user("u")],
        [assistant("a"), user("v")],
        (user("u"), assistant("a"), user("v")),
        id="extra earlier messages are appended",
    ),
    pytest.param(
        [user("u")],
        [assistant("a"), user("u")],
        (user("u"), assistant("a"), user("u")),
        id="an extra message that repeats a word is appended all the same",
    ),
    pytest.param("u", [user("u")], (user("u"),), id="a repeated prompt is not doubled"),
    pytest.param(
        [user("u")],
        [system("s"), user("u")],
        (system("s"), user("u")),
        id="a prompt repeated after a system message is not doubled",
    ),
    pytest.param(
        [system("s"), user("u")],
        [system("s"), user("u"), assistant("a"), user("v")],
        (system("s"), user("u"), assistant("a"), user("v")),
        id="a repeated beginning is not doubled",
    ),
]


@pytest.mark.parametrize(("prompt", "earlier", "expected"), PROMPTS_AND_EARLIER_TURNS)
def test_the_last_message_is_the_response_and_earlier_ones_belong_to_the_prompt(
    prompt: Any, earlier: list[Any], expected: Any, tmp_path: Path
) -> None:
    chosen, rejected = [*earlier, assistant("c")], [*earlier, assistant("r")]
    pair = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    file = write_jsonl(tmp_path, [pair])
    assert labelled(read_preferences(file)) == [(expected, "c", 1.0), (expected, "r", 0.0)]
    unpaired = {"prompt": prompt, "completion": chosen, "label": True}
    file = write_jsonl(tmp_path, [unpaired])
    assert labelled(read_preferences(file)) == [(expected, "c", 1.0)]


def test_chat_pairs_are_read_from_parquet_and_csv(tmp_path: Path) -> None:
    row: Row = {"prompt": [user("u")], "chosen": [assistant("c")], "rejected": [assistant("r")]}
    expected = [((user("u"),), "c", 1.0), ((user("u"),), "r", 0.0)]
    assert labelled(read_preferences(write_parquet(tmp_path, [row]))) == expected
    cells = {name: json.dumps(value) for name, value in row.items()}
    assert labelled(read_preferences(write_csv(tmp_path, [cells]))) == expected


def test_a_chat_prompt_may_stand_with_text_responses(tmp_path: Path) -> None:
    rows = [{"prompt": [user("u")], "chosen": "c", "rejected": "r"}]
    expected = [((user("u"),), "c", 1.0), ((user("u"),), "r", 0.0)]
    assert labelled(read_preferences(write_jsonl(tmp_path, rows))) == expected


# --- preferences: pairs that share their prompt ---------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt", "responses"),
    [
        ("The sky is blue.", "The sky is green.", "The sky is", (" blue.", " green.")),
        ("The sky is blue", "The sky is black", "The sky is", (" blue", " black")),
        ("Why?\n\nSo", "Why?\n\nThus", "Why?", ("\n\nSo", "\n\nThus")),
        ("The sky", "The sky is", "The", (" sky", " sky is")),
        ("blue", "black", "", ("blue", "black")),
        (" blue", " green", "", (" blue", " green")),
        ("", "green", "", ("", "green")),
        (
            "\n\nHuman: Hi?\n\nAssistant: I am well",
            "\n\nHuman: Hi?\n\nAssistant: I am not",
            "\n\nHuman: Hi?\n\nAssistant:",
            (" I am well", " I am not"),
        ),
        (
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: e",
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:",
            (" d", " e"),
        ),
        ("See\n\nAssistant: or b", "See\n\nAssistant: or c", "See\n\nAssistant: or", (" b", " c")),
    ],
)
def test_texts_without_a_prompt_share_it_as_a_prefix_that_ends_before_whitespace(
    chosen: str, rejected: str, prompt: str, responses: tuple[str, str], tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path, [{"chosen": chosen, "rejected": rejected}])
    good, bad = responses
    assert labelled(read_preferences(file)) == [(prompt, good, 1.0), (prompt, bad, 0.0)]


@settings(max_examples=50, deadline=None)
@given(st.text("ab \n", max_size=12), st.text("ab \n", max_size=6), st.text("ab \n", max_size=6))
def test_shared_prompt_and_responses_join_to_the_texts_and_no_word_is_cut(
    tmp_path_factory: pytest.TempPathFactory, shared: str, one: str, other: str
) -> None:
    rows = [{"chosen": shared + one, "rejected": shared + other}, {"chosen": "x", "rejected": "y"}]
    table = read_preferences(write_jsonl(tmp_path_factory.mktemp("shared"), rows))
    pair = [row for row in table.rows if row.line == 1]
    assert bool(pair) == (one != other)
    for row, whole in zip(pair, (shared + one, shared + other), strict=False):
        assert str(row.prompt) + row.response == whole
        assert row.prompt == "" or row.response[:1].isspace()
        assert row.prompt == str(row.prompt).rstrip()


def test_messages_without_a_prompt_share_their_leading_messages(tmp_path: Path) -> None:
    shared = [system("s"), user("u"), assistant("a"), user("v")]
    rows = [{"chosen": [*shared, assistant("c")], "rejected": [*shared, assistant("r")]}]
    expected = [(tuple(shared), "c", 1.0), (tuple(shared), "r", 0.0)]
    for write in (write_jsonl, write_parquet):
        assert labelled(read_preferences(write(tmp_path, rows))) == expected


def test_messages_that_share_nothing_have_an_empty_prompt(tmp_path: Path) -> None:
    rows = [{"chosen": [assistant("c")], "rejected": [assistant("r")]}]
    table = read_preferences(write_jsonl(tmp_path, rows))
    assert labelled(table) == [("", "c", 1.0), ("", "r", 0.0)]


# --- preferences: groups and single labels --------------------------------------------------


@pytest.mark.parametrize("write", [write_jsonl, write_parquet])
def test_rewardbench_2_lists_are_one_group_of_labelled_responses(
    write: Any, tmp_path: Path
) -> None:
    rows: list[Row] = [
        {"prompt": "p", "chosen": ["a", "b"], "rejected": ["c", "d", "e"], "num_correct": 2},
        {"prompt": "q", "chosen": ["a"], "rejected": ["f"], "num_correct": None},
    ]
    table = read_preferences(write(tmp_path, rows))
    assert [(row.response, row.label, row.pair_id) for row in table.rows] == [
        ("a", 1.0, "1"),
        ("b", 1.0, "1"),
        ("c", 0.0, "1"),
        ("d", 0.0, "1"),
        ("e", 0.0, "1"),
        ("a", 1.0, "2"),
        ("f", 0.0, "2"),
    ]
    assert {(row.line, row.prompt) for row in table.rows} == {(1, "p"), (2, "q")}


@pytest.mark.parametrize(
    ("label", "number"),
    [
        (True, 1.0),
        (False, 0.0),
        (1, 1.0),
        (0, 0.0),
        ("True", 1.0),
        ("False", 0.0),
        ("0", 0.0),
        (-2.5, -2.5),
        (7, 7.0),
    ],
)
def test_labels_are_truth_values_or_numbers(label: Any, number: float, tmp_path: Path) -> None:
    rows = [{"prompt": "p", "completion": "c", "label": label}]
    for write in (write_jsonl, write_parquet, write_csv):
        (row,) = read_preferences(write(tmp_path, rows)).rows
        assert row == LabelledResponse(1, prompt_id("p"), "p", "c", number, None, prompt_id("p"))


@pytest.mark.parametrize(
    "label", ["null", "NaN", "Infinity", '"good"', '""', "[1]", "1" + "0" * 400]
)
def test_labels_that_are_not_numbers_are_refused(label: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"text": "a", "label": 1}}\n{{"text": "b", "label": {label}}}\n')
    table = read_preferences(file)
    assert [row.response for row in table.rows] == ["a"]
    (refused,) = table.refused
    assert refused.line == 2
    assert refused.reason.startswith("label is ")
    assert refused.reason.endswith(", not a number")


def test_unpaired_rows_without_a_prompt_column_have_an_empty_prompt(tmp_path: Path) -> None:
    rows = [{"completion": "c", "label": 1}, {"question": "q", "completion": "d", "label": 0}]
    table = read_preferences(write_jsonl(tmp_path, rows))
    assert labelled(table) == [("", "c", 1.0), ("q", "d", 0.0)]


def test_labelled_texts_are_responses_to_the_empty_prompt(tmp_path: Path) -> None:
    for write in (write_jsonl, write_parquet, write_csv):
        table = read_preferences(write(tmp_path, [{"text": "a", "label": 0.25}]))
        assert table.rows == (LabelledResponse(1, prompt_id(""), "", "a", 0.25, None, "row-1"),)


def test_the_cluster_is_the_prompt_and_where_it_is_empty_the_pair_or_the_row(
    tmp_path: Path,
) -> None:
    rows: list[Row] = [
        GOOD_PAIR,
        {**GOOD_PAIR, "chosen": "d"},
        {**GOOD_PAIR, "prompt": ""},
        {"text": "a", "label": 1},
        {"prompt": "", "completion": "a", "label": 1},
        {"prompt": "p", "completion": "a", "label": 1},
    ]
    table = read_preferences(write_jsonl(tmp_path, rows))
    clusters = {line: {r.cluster for r in table.rows if r.line == line} for line in range(1, 7)}
    name = prompt_id("p")
    assert clusters == {1: {name}, 2: {name}, 3: {"3"}, 4: {"row-4"}, 5: {"row-5"}, 6: {name}}


# --- preferences: what is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chosen": "r"}, "chosen equals rejected"),
        ({"chosen": [assistant("r")], "rejected": [assistant("r")]}, "chosen equals rejected"),
        ({"chosen": ["a", "b"], "rejected": ["c", "b"]}, "chosen equals rejected"),
        ({"chosen": "", "rejected": ""}, "chosen and rejected are both empty"),
        ({"chosen": [""], "rejected": [""]}, "chosen and rejected are both empty"),
        ({"prompt": None}, "prompt is null, not text"),
        ({"chosen": None}, "chosen is null, not text"),
        ({"rejected": None}, "rejected is null, not text"),
        ({"rejected": float("nan")}, "rejected is NaN, not text"),
        ({"rejected": 5}, "rejected is of type int, not text"),
        ({"rejected": []}, "rejected is an empty list"),
        ({"chosen": ["a", None], "rejected": ["b"]}, "a response in chosen is null, not text"),
        ({"rejected": ["a"]}, "chosen holds text, but rejected holds texts"),
        ({"rejected": [assistant("a")]}, "chosen holds text, but rejected holds messages"),
        (
            {"chosen": [assistant("c"), user("u")], "rejected": [assistant("r")]},
            "the last message of chosen has the role user, not assistant",
        ),
        (
            {"chosen": [{"role": "assistant"}], "rejected": [assistant("r")]},
            "chosen[0] is not a message with a role and a content that are text",
        ),
        (
            {"chosen": [user("u"), assistant("c")], "rejected": [user("v"), assistant("r")]},
            "chosen and rejected answer different conversations: their earlier messages differ",
        ),
    ],
)
def test_a_pair_that_orders_nothing_is_refused(change: Row, reason: str, tmp_path: Path) -> None:
    assert refusal_of(tmp_path, GOOD_PAIR | change, GOOD_PAIR) == reason


def test_equal_texts_without_a_prompt_are_refused(tmp_path: Path) -> None:
    row = {"chosen": "same words", "rejected": "same words"}
    assert refusal_of(tmp_path, row, GOOD_PAIR) == "chosen equals rejected"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": None, "completion": "c", "label": 1}, "prompt is null, not text"),
        ({"prompt": "p", "completion": None, "label": 1}, "completion is null, not text"),
        ({"text": None, "label": 1}, "text is null, not text"),
        ({"text": "a"}, "the columns text are not enough; expected chosen+rejected or completion"),
    ],
)
def test_an_incomplete_labelled_row_is_refused(row: Row, reason: str, tmp_path: Path) -> None:
    assert refusal_of(tmp_path, row, GOOD_PAIR).startswith(reason)


# --- samples --------------------------------------------------------------------------------


@WRITERS
def test_samples_keep_their_source_and_a_prompt_may_have_several(
    write: Any, tmp_path: Path
) -> None:
    rows = [
        {"prompt": "p", "response": "a", "source": "aligned"},
        {"prompt": "p", "response": "a", "source": "reference"},
        {"prompt": "", "response": "", "source": "given"},
    ]
    assert read_samples(write(tmp_path, rows)).rows == (
        SampleRow(1, prompt_id("p"), "p", "a", "aligned"),
        SampleRow(2, prompt_id("p"), "p", "a", "reference"),
        SampleRow(3, prompt_id(""), "", "", "given"),
    )


def test_the_source_of_a_sample_is_given_where_nothing_is_said(tmp_path: Path) -> None:
    rows: list[Row] = [{"prompt": "p", "response": "a"}]
    rows += [{"prompt": "p", "response": "a", "source": said} for said in (None, "")]
    assert [row.source for row in read_samples(write_jsonl(tmp_path, rows)).rows] == ["given"] * 3


@WRITERS
def test_the_tables_of_completions_that_trl_writes_are_read(write: Any, tmp_path: Path) -> None:
    rows = [{"step": 1, "prompt": "p", "completion": " a", "reward": 0.5, "advantage": 0.1}]
    (row,) = read_samples(write(tmp_path, rows)).rows
    assert (row.prompt, row.response, row.source) == ("p", " a", "given")


@pytest.mark.parametrize("name", ["response", "completion"])
def test_a_response_may_be_a_single_message_of_the_assistant(name: str, tmp_path: Path) -> None:
    row: Row = {"prompt": [user("u")], name: [assistant("a")]}
    for file in (
        write_jsonl(tmp_path, [row]),
        write_parquet(tmp_path, [row]),
        write_csv(tmp_path, [{key: json.dumps(value) for key, value in row.items()}]),
    ):
        (read,) = read_samples(file).rows
        assert (read.prompt, read.response) == ((user("u"),), "a")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": None, "response": "a"}, "prompt is null, not text"),
        ({"question": "p", "response": "a"}, "prompt is missing"),
        ({"prompt": "p"}, "response is missing"),
        ({"prompt": "p", "response": None}, "response is null, not text"),
        ({"prompt": "p", "response": []}, "response is an empty list"),
        ({"prompt": "p", "response": [user("a")]}, "the last message of response has the role u"),
        (
            {"prompt": "p", "response": [assistant("a"), assistant("b")]},
            "response has 2 messages, but a sample is a single one",
        ),
        (
            {"prompt": "p", "response": "a", "source": "human"},
            "source is 'human', not one of aligned, reference, given",
        ),
        ({"prompt": "p", "response": "a", "source": ["aligned"]}, "source is ['aligned'], not"),
    ],
)
def test_a_sample_that_cannot_be_used_is_refused(row: Row, reason: str, tmp_path: Path) -> None:
    table = read_samples(write_jsonl(tmp_path, [{"prompt": "p", "response": "a"}, row]))
    assert [one.line for one in table.rows] == [1]
    (refused,) = table.refused
    assert refused.line == 2
    assert refused.reason.startswith(reason)
