"""CSV that spreadsheets may open: what is a text stays one."""

import csv
import io

import pytest

from explain.spreadsheet import as_csv


def test_rows_come_back_as_they_were():
    rows = [{"term": 'say "a, b"\nc', "weight": -1.5, "n": None}, {"term": "d", "weight": 2.0}]
    found = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert found == [
        {"term": 'say "a, b"\nc', "weight": "-1.5", "n": ""},
        {"term": "d", "weight": "2.0", "n": ""},
    ]
    assert as_csv([]) == ""


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_is_a_formula(sign: str):
    text = f'{sign}HYPERLINK("https://evil.example")'
    ((_,), (cell,)) = csv.reader(io.StringIO(as_csv([{"term": text}])))
    assert cell == f"'{text}"
