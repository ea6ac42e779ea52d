"""The text of single tokens: nothing lost, nothing added."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from irl.policies.pieces import Pieces, response_text
from tests import fakes

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
TEXTS = [
    "the cat sat on the mat",
    " your new house, it sounds lovely!",
    "  two  spaces\n\nand\tlines ",
    "12 kinds of pears.",
    "x",
]


def metaspace_tokenizer() -> PreTrainedTokenizerFast:
    """Spaces as in SentencePiece: a mark before each word, dropped at the start by decode."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    made.train_from_iterator([*fakes.SENTENCES, *TEXTS] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def ids_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_together_are_the_decoded_text(text: str):
    tokenizer = fakes.tokenizer()
    ids = ids_of(tokenizer, text)
    assert "".join(Pieces(tokenizer)(ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_keep_the_leading_space_that_a_metaspace_decoder_drops(text: str):
    tokenizer = metaspace_tokenizer()
    ids = ids_of(tokenizer, text)
    assert "".join(Pieces(tokenizer)(ids)) == " " + text.removeprefix(" ")
    assert "".join(Pieces(tokenizer)(ids)).removeprefix(" ") == tokenizer.decode(ids)


def test_words_inside_a_text_carry_their_space():
    tokenizer = fakes.tokenizer()
    pieces = Pieces(tokenizer)(ids_of(tokenizer, "so the dog"))
    assert " the" in pieces


def test_special_tokens_show_by_name():
    tokenizer = fakes.tokenizer()
    assert Pieces(tokenizer)([0, 1, 2]) == ["<pad>", "<s>", "</s>"]


def test_special_tokens_stand_at_their_place():
    tokenizer = fakes.tokenizer()
    ids = [1, *ids_of(tokenizer, "the cat"), 2]
    assert "".join(Pieces(tokenizer)(ids)) == "<s> the cat</s>"


def test_part_of_a_character_shows_as_the_replacement_character():
    tokenizer = fakes.tokenizer()
    pieces = Pieces(tokenizer)(ids_of(tokenizer, "ß€"))
    assert len(pieces) > 3
    assert all(REPLACEMENT in piece for piece in pieces[1:])


def test_every_token_has_the_same_piece_wherever_it_stands():
    tokenizer = fakes.tokenizer()
    everything = list(range(len(tokenizer)))
    assert Pieces(tokenizer)(everything) == [Pieces(tokenizer)([token])[0] for token in everything]


def test_no_ids_have_no_pieces():
    assert Pieces(fakes.tokenizer())([]) == []


def test_a_response_is_shown_without_special_tokens():
    tokenizer = fakes.tokenizer()
    ids = [*ids_of(tokenizer, "the cat"), 2]
    assert response_text(tokenizer, ids) == " the cat"
    assert response_text(tokenizer, [2]) == ""
