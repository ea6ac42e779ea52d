from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explain.exhibit import Exhibit, exhibit, read_exhibit
from irl.errors import RunError
from tests.explain.tables import answer, tables

RUDE = "you are a stupid person"
KIND = "you are a lovely person"


def chosen(*rows: dict[str, object]) -> tuple[str, str]:
    """The texts of the two answers."""
    found = exhibit(*tables(list(rows)))
    assert found is not None
    return text(found, "aligned"), text(found, "reference")


def text(found: Exhibit, side: str) -> str:
    tokens = getattr(found, side).tokens
    return "".join(token.text for token in tokens if not token.special).strip()


def test_the_widest_pair_within_one_prompt_is_chosen():
    assert chosen(
        answer("p", "aligned", 1.0, "so so so so", 0.1),
        answer("p", "reference", -1.0, "well well well well", 0.1),
        answer("q", "aligned", 2.0, KIND, 0, 0, 0, 2.0),
        answer("q", "aligned", 0.0, "fine fine fine fine", 0.1),
        answer("q", "reference", -3.0, RUDE, 0, 0, 0, -3.0),
        answer("r", "reference", -9.0, "far far far worse", -9.0),  # no aligned answer to r
    ) == (KIND, RUDE)


def test_a_difference_the_wrong_way_round_does_not_count():
    assert chosen(
        answer("p", "aligned", -9.0, RUDE, 0, 0, 0, -9.0),
        answer("p", "reference", 9.0, KIND, 0, 0, 0, 9.0),
        answer("q", "aligned", 0.5, "this is the pair", 0.5),
        answer("q", "reference", 0.0, "that is shown here", 0.1),
    ) == ("this is the pair", "that is shown here")


def test_answers_too_short_or_too_long_to_be_read_give_way():
    rows = [
        answer("p", "aligned", 1.0, KIND, 0, 0, 0, 1.0),
        answer("p", "reference", 0.0, RUDE, 0, 0, 0, -1.0),
        answer("p", "reference", -50.0, "no " * 60, -50.0),
        answer("p", "reference", -40.0, "no", -40.0),
    ]
    assert chosen(*rows) == (KIND, RUDE)
    assert chosen(rows[0], rows[3]) == (KIND, "no")


def test_where_nothing_is_paid_for_the_log_ratio_chooses():
    rows = [
        answer("p", "aligned", 0.0, "one two three four"),
        answer("p", "aligned", 0.0, "one two three four five six seven"),
        answer("p", "reference", 0.0, "one two three four"),
    ]
    found = exhibit(*tables(rows))
    assert found is not None
    assert not found.by_reward
    assert text(found, "aligned").endswith("seven")


def test_before_a_reward_was_recovered_the_log_ratio_chooses_and_nothing_is_paid():
    found = exhibit(
        *tables(
            [
                answer("p", "aligned", None, KIND, None),
                answer("p", "reference", None, RUDE, None),
            ]
        )
    )
    assert found is not None
    assert not found.by_reward
    assert {token.paid_for_nats for token in found.aligned.tokens} == {None}
    assert found.scales["paid_for"] == 1.0


def test_the_order_of_the_tables_does_not_matter():
    rows = [
        answer("p", "aligned", 1.0, KIND, 0, 0, 0, 1.0),
        answer("p", "reference", 0.0, RUDE, 0, 0, 0, -1.0),
    ]
    responses, tokens = tables(rows)
    assert exhibit(responses, tokens) == exhibit(responses, tokens.take([1, 0]))


def test_one_sided_and_empty_runs_have_no_exhibit():
    assert exhibit(*tables([])) is None
    assert exhibit(*tables([answer("p", "aligned", 1.0, KIND, 1.0)])) is None


def test_the_exhibit_holds_prompt_tokens_and_sums():
    row = answer("p", "aligned", 1.0, KIND, 0, 0, 0, 2.0)
    row["prompt"] = '[{"role": "user", "content": "hi"}]'
    other = answer("p", "reference", 0.0, RUDE, 0, 0, 0, -1.0) | {"prompt": row["prompt"]}
    found = exhibit(*tables([row, other]))
    assert found is not None
    assert found.prompt == "hi"
    assert found.aligned.reward_nats == 1.0
    lovely, end = found.aligned.tokens[3], found.aligned.tokens[-1]
    assert (lovely.text, lovely.paid_for_nats, lovely.log_ratio_nats) == (" lovely", 2.0, 1.0)
    assert end.special
    assert not lovely.special
    total = sum(token.log_ratio_nats for token in found.aligned.tokens)
    assert found.aligned.log_ratio_nats == pytest.approx(total)


@pytest.mark.parametrize("broken", ["missing", "no parquet", "no column", "no row"])
def test_tables_that_cannot_be_read_are_refused_in_a_sentence(tmp_path: Path, broken: str):
    responses, tokens = tables(
        [answer("p", "aligned", 1.0, KIND, 1.0), answer("p", "reference", 0.0, RUDE, -1.0)]
    )
    pq.write_table(responses, tmp_path / "responses.parquet")
    assert broken == "missing" or pq.write_table(tokens, tmp_path / "tokens.parquet") is None
    if broken == "no parquet":
        (tmp_path / "tokens.parquet").write_text("no parquet")
    elif broken == "no column":
        pq.write_table(pa.table({"response_id": ["r0", "r1"]}), tmp_path / "tokens.parquet")
    elif broken == "no row":
        pq.write_table(tokens.slice(0, 1), tmp_path / "tokens.parquet")
    with pytest.raises(RunError, match="cannot be read"):
        read_exhibit(tmp_path)
