import pytest

from dashboard.selection import Selection


@pytest.mark.parametrize("name", ["audit-0123456789", "a b&run=c", "ü/..", None])
def test_a_selection_survives_its_own_query(name: str | None):
    assert Selection.from_query(Selection(name).to_query()) == Selection(name)


def test_an_empty_or_foreign_query_selects_nothing():
    assert Selection.from_query({"run": "", "theme": "dark"}) == Selection()
