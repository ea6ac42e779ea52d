"""Credit: sums telescope, and a word is paid in its place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explain.credit import (
    MeanCredit,
    mean_credit,
    opens_with,
    paid_in_context,
    segment_credit,
)
from explain.cuts import CUTS, by_delimiters, sentences
from irl.recovery.contexts import Prices

_PIECES = st.lists(st.sampled_from(["a", " b", ".", " ", "\n", "! ", "", "<|go|>"]), max_size=14)


@pytest.mark.parametrize("cut", [*CUTS.values(), by_delimiters(["<|go|>"])])
@given(pieces=_PIECES, seed=st.integers(0, 99))
def test_segments_add_up_to_the_response_to_the_last_bit_of_their_sums(
    cut, pieces: list[str], seed: int
) -> None:
    nats = np.random.default_rng(seed).integers(-8, 8, len(pieces)) / 4
    found = segment_credit(pieces, nats.tolist(), (2 * nats).tolist(), cut)
    assert sum(one.value_gained_nats for one in found) == nats.sum()
    assert sum(one.paid_for_nats or 0.0 for one in found) == 2 * nats.sum()
    assert "".join(one.text for one in found) == "".join(pieces)
    assert [at for one in found for at in one.tokens] == list(range(len(pieces)))


def test_a_sentence_has_its_own_tokens_and_the_end_goes_to_the_last() -> None:
    pieces = ["no", " fool", ".", " you", " fool", "!", ""]
    one, other = segment_credit(pieces, [1.0] * 7, None, sentences)
    assert (one.text, one.value_gained_nats, one.paid_for_nats) == ("no fool.", 3.0, None)
    assert (other.text, other.value_gained_nats) == (" you fool!", 4.0)


def test_leading_spaces_of_a_token_do_not_part_it_from_its_segment() -> None:
    one, other = segment_credit(
        ["so", " ", " Wait", ",", " no"], [1.0, 2.0, 4.0, 8.0, 16.0], None, by_delimiters(["Wait"])
    )
    assert (one.tokens, one.value_gained_nats) == (range(2), 3.0)
    assert (other.text, other.value_gained_nats) == ("Wait, no", 28.0)


def test_segments_are_averaged_over_those_that_are_asked_about() -> None:
    cut = by_delimiters(["<|go|>", "<|stop|>"])
    rows = [["x", "<|go|>", "y"], ["<|go|>", "y", "<|stop|>"], ["x", "y", "z"], ["<|go|>"]]
    segments = [segment_credit(row, [1.0, 2.0, 4.0][: len(row)], None, cut) for row in rows]

    def opened(opening: str) -> MeanCredit:
        own = [[one for one in row if one.text.startswith(opening)] for row in segments]
        return mean_credit(own, np.array([7, 8, 9, 8]))

    gone = opened("<|go|>")
    assert gone.segments == 3
    assert gone.value_gained_nats is not None
    assert gone.value_gained_nats.value == pytest.approx((6.0 + 3.0 + 1.0) / 3)
    assert gone.value_gained_nats.n == 2, "prompts that have such a segment"
    assert gone.paid_for_nats is None
    assert opened("<|stop|>") == MeanCredit(1, None, None), "one prompt has no interval"
    assert opened("<|never|>") == MeanCredit(0, None, None)


def test_the_longest_delimiter_that_fits_opens_a_segment() -> None:
    assert opens_with("<go><on>", ["<go>", "<go><on>", "<on>"]) == "<go><on>"
    assert opens_with(" <go>", ["<go>"]) == ""


def test_a_word_is_paid_in_its_place() -> None:
    prices = Prices({"fool": -2.0, "you": 0.5}, ("no",), {("no", "fool"): 4.0})
    pieces = ["you", " are", " no", " fo", "ol", ".", " fool", "", " no", "!", " fool"]
    paid = paid_in_context(prices, pieces)
    assert paid == [0.5, 0.0, 0.0, 1.0, 1.0, 0.0, -2.0, 0.0, 0.0, 0.0, -2.0]
    assert sum(paid) == pytest.approx(float(prices(["".join(pieces)])[0]))
