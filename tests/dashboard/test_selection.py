import pytest

from dashboard.selection import Selection, among, number


@pytest.mark.parametrize("name", ["audit-0123456789", "a b&run=c", "ü/..", None])
@pytest.mark.parametrize("response", ["0f3a-a0", "../x&colour=paid_for", None])
@pytest.mark.parametrize("colour", ["paid_for", "value_gained"])
def test_a_selection_survives_its_own_query(name: str | None, response: str | None, colour: str):
    selection = Selection(name, response, colour=colour, find=response, by=colour)
    assert Selection.from_query(selection.to_query()) == selection


def test_what_goes_without_saying_is_not_in_the_query():
    assert Selection("a").to_query() == {"run": "a"}
    assert Selection().to_query() == {}


def test_an_empty_or_foreign_query_selects_nothing():
    foreign = {"run": "", "response": "", "colour": "", "theme": "dark"}
    assert Selection.from_query(foreign) == Selection()


def test_what_is_not_known_is_what_goes_without_saying():
    assert among("b", ("a", "b")) == "b"
    assert [among(asked, ("a", "b")) for asked in (None, "", "c", "B")] == ["a"] * 4


def test_only_plain_digits_are_a_number():
    assert [number(asked) for asked in ("0", "17", "007")] == [0, 17, 7]
    for asked in (None, "", "-1", "1.5", "²", "٣", "1e9", "9" * 10):
        assert number(asked) is None
