"""From a prompt and a response to token ids, once and without guessing.

A chat is rendered by the template as a whole and tokenised once, without adding special tokens: the
template writes its own BOS. Plain text is tokenised as a whole too, with the tokenizer's BOS. The
response starts at the first token where the whole departs from the prompt alone (for a chat: the
prompt with the generation prompt), and ends with the first token that ends a response.
"""

from collections.abc import Mapping, Sequence

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from irl.errors import InputError
from irl.tensors import TokenSequence

Message = Mapping[str, str]
PromptText = str | Sequence[Message]
_ANSWER = "qzqz"
"Stands nowhere in a template"


class Rendered(str):
    """A chat that its template has already rendered, up to where the answer begins."""

    __slots__ = ()


def as_chat(prompt: PromptText, chat: str) -> PromptText:
    """Apply the `chat` setting: "always" turns a non-empty string into a user message."""
    if isinstance(prompt, str):
        if chat == "always" and prompt and not isinstance(prompt, Rendered):
            return [{"role": "user", "content": prompt}]
        return prompt
    if chat == "never":
        raise InputError("a list of messages, but the setting chat=never allows strings only")
    return prompt


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: PromptText) -> tuple[int, ...]:
    """The ids after which a policy answers; never empty.

    Raises:
        InputError: a chat without a template, or messages that the template refuses.
    """
    if isinstance(prompt, Rendered):
        return _rendered_ids(tokenizer, prompt)
    if isinstance(prompt, str):
        return _plain_ids(tokenizer, prompt)
    return _chat_ids(tokenizer, prompt, generation_prompt=True)


def encode_response(
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptText,
    response: str,
    eos_ids: frozenset[int],
    *,
    whole_chat: bool = False,
) -> TokenSequence:
    """A given response after its prompt. Plain text is closed by EOS, as TRL does in training.

    With `whole_chat`, what a template writes after the end of an answer is kept: reward models
    that others train and serve read their score at the last token of the rendered chat.
    """
    prompt_ids = encode_prompt(tokenizer, prompt)
    if isinstance(prompt, Rendered):
        whole = _rendered_ids(tokenizer, prompt + response + _closing(tokenizer))
    elif isinstance(prompt, str):
        whole = _plain_ids(tokenizer, prompt + response)
        if not _common_length(prompt_ids, whole):  # nothing would predict the first token
            whole = (*_plain_ids(tokenizer, ""), *whole)
        if tokenizer.eos_token_id is not None and not (response and whole[-1] in eos_ids):
            whole = (*whole, int(tokenizer.eos_token_id))
    else:
        answer = {"role": "assistant", "content": response}
        whole = _chat_ids(tokenizer, [*prompt, answer], generation_prompt=False)
    start = max(_common_length(prompt_ids, whole), 1)
    said = whole[start:]
    return TokenSequence(whole[:start], said if whole_chat else _until_eos(said, eos_ids))


def end_token(
    tokenizer: PreTrainedTokenizerBase, prompt: PromptText, eos_ids: frozenset[int]
) -> int:
    """The token by which given responses to this prompt are ended.

    Raises:
        InputError: no token ends them.
    """
    last = encode_response(tokenizer, prompt, "a", eos_ids).response_ids[-1:]
    if last and last[0] in eos_ids:
        return last[0]
    if tokenizer.eos_token_id is None:
        raise InputError("no token ends an answer: the tokenizer has no EOS")
    return int(tokenizer.eos_token_id)


def encode_answers(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[PromptText],
    texts: Sequence[str],
    eos_ids: frozenset[int],
    chat: str,
    *,
    whole_chat: bool = False,
) -> list[TokenSequence]:
    """Given responses after their prompts, all or none; see `encode_response`.

    Raises:
        InputError: one of the prompts cannot be read; the message says which.
    """
    sequences = []
    for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True), 1):
        try:
            read = as_chat(prompt, chat)
            sequences.append(encode_response(tokenizer, read, text, eos_ids, whole_chat=whole_chat))
        except InputError as error:
            raise InputError(
                f"Prompt {number} of {len(prompts)} cannot be read by "
                f"{tokenizer.name_or_path}: {error}."
            ) from None
    return sequences


def _rendered_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _closing(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the template writes after an answer."""
    asked: Message = {"role": "user", "content": "a"}
    return whole_text(tokenizer, [asked], _ANSWER).rpartition(_ANSWER)[2]


def _plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    ids = list(tokenizer(text)["input_ids"])
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    own_eos = text.endswith(str(tokenizer.eos_token))
    if len(ids) > 1 and ids[-1] == eos and (not own_eos or ids[-2] == eos):
        ids.pop()
    if len(ids) > 1 and bos is not None and ids[0] == ids[1] == bos:
        ids.pop(0)
    if not ids:
        ids = [token for token in (bos, eos) if token is not None][:1]
    if not ids:
        raise InputError("an empty prompt, but the tokenizer has neither BOS nor EOS to start from")
    return tuple(ids)


def whole_text(tokenizer: PreTrainedTokenizerBase, prompt: PromptText, response: str) -> str:
    """What is tokenised as a whole: a prompt with its response.

    Raises:
        InputError: a chat without a template, or messages that the template refuses.
    """
    if isinstance(prompt, str):
        return prompt + response
    answer = {"role": "assistant", "content": response}
    return _chat_text(tokenizer, [*prompt, answer], generation_prompt=False)


def _chat_text(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, generation_prompt: bool
) -> str:
    if not tokenizer.chat_template:
        raise InputError("chat messages, but the tokenizer has no chat template; give plain text")
    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=generation_prompt,
        )
    except (TemplateError, ValueError, TypeError) as error:
        raise InputError(f"the chat template refuses the messages ({error})") from None
    return str(text)


def _chat_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, generation_prompt: bool
) -> tuple[int, ...]:
    text = _chat_text(tokenizer, messages, generation_prompt=generation_prompt)
    ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise InputError("the chat template renders the messages to nothing")
    return ids


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = zip(first, second, strict=False)
    return next(
        (index for index, (one, other) in enumerate(pairs) if one != other),
        min(len(first), len(second)),
    )


def _until_eos(ids: tuple[int, ...], eos_ids: frozenset[int]) -> tuple[int, ...]:
    end = next((index + 1 for index, token in enumerate(ids) if token in eos_ids), len(ids))
    return ids[:end]


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer can render chats."""
    return bool(tokenizer.chat_template)
