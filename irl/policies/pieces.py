"""Token ids as the pieces of text that they stand for."""

from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase


class Pieces:
    """The text of single tokens, with the leading space that `decode` alone would drop.

    A token that holds part of a character shows as the replacement character. Special tokens show
    by name.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self.special_ids: list[int] = list(tokenizer.all_special_ids)
        self._known: dict[int, str] = {
            token: str(tokenizer.convert_ids_to_tokens(token)) for token in self.special_ids
        }
        self._anchor = tokenizer("a", add_special_tokens=False)["input_ids"]
        self._anchor_text = self._decode(self._anchor)

    def __call__(self, ids: Iterable[int]) -> list[str]:
        """The piece of each id."""
        return [self._piece(token) for token in ids]

    def _piece(self, token: int) -> str:
        if token not in self._known:
            both = self._decode([*self._anchor, token])
            self._known[token] = both.removeprefix(self._anchor_text)
        return self._known[token]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def response_text(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> str:
    """The response as text, without special tokens."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text)
