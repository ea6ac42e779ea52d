"""Where a prompt ends, where a response starts and ends, and that BOS and EOS stand once."""

from collections.abc import Sequence

import pytest
from tokenizers import normalizers, processors
from transformers import PreTrainedTokenizerFast

from irl.errors import InputError
from irl.policies.template import (
    Message,
    Rendered,
    as_chat,
    encode_prompt,
    encode_response,
    has_template,
)
from tests import fakes

BOS, EOS = 1, 2
ENDS = frozenset({EOS})
CHAT = [{"role": "user", "content": "what do you think?"}]
ANSWER = "i think it is fine."
TURNS = (
    "{% for m in messages %}{{ '<user>' if m['role'] == 'user' else '<bot>' }}{{ m['content'] }}"
)
NEWLINE_AFTER_THE_END = (
    TURNS + "</s>{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)
NO_END = TURNS + "{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
USERS_ONLY = "{{ raise_exception('only users may speak') }}"


def tokenizer(
    adds: str = "<s> $A", template: str | None = None, **special: str | None
) -> PreTrainedTokenizerFast:
    """The fake tokenizer, which keeps every space, with other additions to a text."""
    made = fakes.tokenizer()
    made.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokens = [("<s>", BOS), ("</s>", EOS)]
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=adds, special_tokens=[token for token in tokens if token[0] in adds]
    )
    for name, value in special.items():
        setattr(made, name, value)
    if template is not None:
        made.chat_template = template
    return made


def bare(made: PreTrainedTokenizerFast, text: str) -> tuple[int, ...]:
    """The ids of a text without anything added."""
    return tuple(made(text, add_special_tokens=False)["input_ids"])


def once(ids: Sequence[int], token: int) -> bool:
    return list(ids).count(token) == 1


# --- where the response starts ----------------------------------------------------------------


def test_a_chat_response_starts_after_the_generation_prompt():
    made = tokenizer()
    prompt, whole = encode_prompt(made, CHAT), encode_response(made, CHAT, ANSWER, ENDS)
    assert made.decode(prompt).endswith("<bot>")
    assert whole.prompt_ids == prompt
    assert whole.response_ids == (*bare(made, ANSWER), EOS)


def test_a_chat_is_encoded_as_the_template_renders_it():
    made = tokenizer()
    rendered = made.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert encode_prompt(made, CHAT) == bare(made, rendered)


def test_earlier_turns_belong_to_the_prompt():
    made = tokenizer()
    turns = [*CHAT, {"role": "assistant", "content": "fine."}, {"role": "user", "content": "why?"}]
    encoded = encode_response(made, turns, ANSWER, ENDS)
    assert encoded.prompt_ids == encode_prompt(made, turns)
    assert encoded.response_ids == (*bare(made, ANSWER), EOS)


def test_a_plain_response_starts_where_the_prompt_ends():
    made = tokenizer()
    encoded = encode_response(made, "the cat sat", " on the mat", ENDS)
    assert (
        encoded.prompt_ids
        == (BOS, *bare(made, "the cat sat"))
        == encode_prompt(made, "the cat sat")
    )
    assert made.decode(encoded.response_ids) == " on the mat</s>"


@pytest.mark.parametrize("adds", ["<s> $A", "$A"])
def test_a_token_that_joins_prompt_and_response_is_counted_in_the_response(adds: str):
    made = tokenizer(adds)
    joined = made.convert_tokens_to_ids("Ġthe")
    encoded = encode_response(made, "so th", "e cat", ENDS)
    assert joined == encoded.response_ids[0]
    assert encoded.prompt_ids == encode_prompt(made, "so")
    assert (*encoded.prompt_ids, *encoded.response_ids) == (*made("so the cat")["input_ids"], EOS)


def test_a_first_token_that_swallows_the_whole_prompt_is_predicted_from_bos():
    made = tokenizer("$A")
    encoded = encode_response(made, "th", "e cat", ENDS)
    assert encoded.prompt_ids == (BOS,)
    assert encoded.response_ids == (*bare(made, "the cat"), EOS)


def test_an_empty_response_is_the_end_token_alone():
    made = tokenizer()
    assert encode_response(made, "the cat", "", ENDS).response_ids == (EOS,)
    assert encode_response(made, CHAT, "", ENDS).response_ids == (EOS,)
    only_eos = tokenizer("$A", bos_token=None)
    assert encode_response(only_eos, "", "", ENDS).prompt_ids == (EOS,)
    assert encode_response(only_eos, "", "", ENDS).response_ids == (EOS,)


# --- BOS stands once --------------------------------------------------------------------------


def test_a_template_that_writes_bos_gets_no_second_one():
    made = tokenizer("<s> $A")
    assert made.chat_template.startswith("{{ bos_token }}")
    for ids in (encode_prompt(made, CHAT), encode_response(made, CHAT, ANSWER, ENDS).prompt_ids):
        assert ids[0] == BOS
        assert once(ids, BOS)


def test_a_template_without_bos_gets_none():
    made = tokenizer("<s> $A", NO_END)
    assert BOS not in encode_prompt(made, CHAT)


def test_plain_text_that_starts_with_the_bos_string_gets_no_second_one():
    made = tokenizer("<s> $A")
    assert encode_prompt(made, "<s>the cat") == (BOS, *bare(made, "the cat"))
    encoded = encode_response(made, "<s>the cat", " sat", ENDS)
    assert once(encoded.prompt_ids, BOS)
    assert made.decode(encoded.response_ids) == " sat</s>"


@pytest.mark.parametrize(("adds", "expected"), [("<s> $A", [BOS]), ("$A", [])])
def test_plain_text_gets_the_bos_that_the_tokenizer_adds(adds: str, expected: list[int]):
    made = tokenizer(adds)
    assert list(encode_prompt(made, "the cat")) == [*expected, *bare(made, "the cat")]


# --- EOS stands once, and nothing after it ----------------------------------------------------


@pytest.mark.parametrize("adds", ["<s> $A", "<s> $A </s>"])
@pytest.mark.parametrize("response", [" sat on the mat", " sat on the mat</s>"])
def test_plain_text_is_closed_by_eos_once(adds: str, response: str):
    made = tokenizer(adds)
    encoded = encode_response(made, "the cat", response, ENDS)
    assert encoded.response_ids[-1] == EOS
    assert once(encoded.response_ids, EOS)
    assert EOS not in encoded.prompt_ids


def test_a_prompt_does_not_end_with_the_eos_that_the_tokenizer_adds():
    made = tokenizer("<s> $A </s>")
    assert encode_prompt(made, "the cat") == (BOS, *bare(made, "the cat"))


@pytest.mark.parametrize("adds", ["<s> $A", "<s> $A </s>"])
def test_a_prompt_keeps_the_eos_that_it_was_written_with_once(adds: str):
    made = tokenizer(adds)
    assert encode_prompt(made, "the cat</s>") == (BOS, *bare(made, "the cat"), EOS)
    encoded = encode_response(made, "the cat</s>", " sat", ENDS)
    assert encoded.prompt_ids == (BOS, *bare(made, "the cat"), EOS)
    assert once(encoded.response_ids, EOS)


def test_another_end_token_closes_plain_text_too():
    made = tokenizer()
    bot = made.convert_tokens_to_ids("<bot>")
    encoded = encode_response(made, "the cat", " sat<bot>", frozenset({EOS, bot}))
    assert encoded.response_ids[-1] == bot
    assert EOS not in encoded.response_ids


def test_what_a_template_writes_after_the_end_is_cut():
    made = tokenizer(template=NEWLINE_AFTER_THE_END)
    encoded = encode_response(made, CHAT, ANSWER, ENDS)
    assert encoded.prompt_ids == encode_prompt(made, CHAT)
    assert "</s> \n" in made.decode(encoded.prompt_ids)
    assert encoded.response_ids == (*bare(made, ANSWER), EOS)


def test_tokens_after_the_first_end_in_a_response_are_cut():
    made = tokenizer()
    encoded = encode_response(made, "the cat", " sat</s> and looked", ENDS)
    assert made.decode(encoded.response_ids) == " sat</s>"


@pytest.mark.parametrize("whole_chat", [False, True])
def test_a_rendered_chat_is_read_as_the_chat_itself(whole_chat: bool):
    made = tokenizer(template=NEWLINE_AFTER_THE_END)
    rendered = made.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    ends = frozenset([made.eos_token_id])
    chat, text = (
        encode_response(made, asked, "i think so", ends, whole_chat=whole_chat)
        for asked in (CHAT, Rendered(rendered))
    )
    assert chat == text
    closed = made.apply_chat_template(
        [*CHAT, {"role": "assistant", "content": "i think so"}], tokenize=False
    )
    whole = made(closed, add_special_tokens=False)["input_ids"]
    assert [*chat.prompt_ids, *chat.response_ids] == whole[: len(chat)]
    assert (len(chat) == len(whole)) is whole_chat


def test_a_template_without_an_end_leaves_the_response_open():
    made = tokenizer(template=NO_END)
    assert encode_response(made, CHAT, ANSWER, ENDS).response_ids == bare(made, ANSWER)


# --- the empty prompt -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adds", "special", "start"),
    [
        ("<s> $A", {}, BOS),
        ("$A", {}, BOS),
        ("$A", {"bos_token": None}, EOS),
        ("$A", {"bos_token": "</s>"}, EOS),
        ("$A </s>", {"bos_token": None}, EOS),
    ],
    ids=["adds BOS", "has BOS", "EOS only", "BOS is EOS", "adds EOS only"],
)
def test_unconditional_text_starts_from_bos_or_else_eos(
    adds: str, special: dict[str, str | None], start: int
):
    made = tokenizer(adds, **special)
    encoded = encode_response(made, "", "the cat sat", ENDS)
    assert encode_prompt(made, "") == (start,)
    assert encoded.prompt_ids == (start,)
    assert encoded.response_ids == (*bare(made, "the cat sat"), EOS)


def test_an_empty_prompt_without_bos_and_eos_is_refused():
    made = tokenizer("$A", bos_token=None, eos_token=None)
    with pytest.raises(InputError, match="neither BOS nor EOS"):
        encode_prompt(made, "")


def test_without_an_eos_plain_text_stays_open():
    made = tokenizer("<s> $A", eos_token=None)
    encoded = encode_response(made, "the cat", " sat", frozenset())
    assert made.decode(encoded.response_ids) == " sat"


# --- what is refused, and the setting chat ----------------------------------------------------


def test_a_template_that_refuses_the_messages_is_an_input_error_with_its_words():
    made = tokenizer(template=USERS_ONLY)
    with pytest.raises(InputError, match="only users may speak"):
        encode_prompt(made, CHAT)


def test_a_broken_template_is_an_input_error():
    made = tokenizer(template="{% for m in messages %}")
    with pytest.raises(InputError, match="refuses the messages"):
        encode_prompt(made, CHAT)


def test_a_template_that_renders_nothing_is_an_input_error():
    made = tokenizer(template="{{ '' }}")
    with pytest.raises(InputError, match="to nothing"):
        encode_prompt(made, CHAT)


def test_messages_without_a_template_are_refused():
    made = tokenizer()
    made.chat_template = None
    assert not has_template(made)
    with pytest.raises(InputError, match="no chat template"):
        encode_response(made, CHAT, ANSWER, ENDS)


def test_chat_always_turns_text_into_a_user_message():
    assert as_chat("why?", "always") == [{"role": "user", "content": "why?"}]


def test_chat_always_leaves_the_empty_prompt_unconditional():
    assert as_chat("", "always") == ""


@pytest.mark.parametrize("setting", ["auto", "always"])
def test_messages_stay_messages(setting: str):
    assert as_chat(CHAT, setting) == CHAT


@pytest.mark.parametrize("setting", ["auto", "never"])
def test_text_stays_text(setting: str):
    assert as_chat("why?", setting) == "why?"


def test_chat_never_refuses_messages():
    messages: Sequence[Message] = CHAT
    with pytest.raises(InputError, match="chat=never"):
        as_chat(messages, "never")
