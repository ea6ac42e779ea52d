"""A served policy: the numbers of the local one, whatever the network does, or words."""

import json
import math
import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import GenerationConfig, PreTrainedModel

from irl.config import Sampling
from irl.engine.local import Workshop, draw_answers, sample_pair, score_pair, score_parts
from irl.engine.scoring import score_policy, scoring_facts
from irl.engine.shards import slices
from irl.errors import InputError, PolicyError, ServerError
from irl.policies.entropy import surprises
from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy
from irl.policies.sample import Ids
from irl.policies.served.client import Client, side_by_side
from irl.policies.served.policy import Reader, ServedPolicy
from irl.policies.served_file import Served, read_served
from irl.records import Checkpoint
from irl.tensors import TokenSequence
from tests import fakes
from tests.served import CompletionsServer, Fault

TOLERANCE_NATS = 1e-5
EOS = frozenset({2})
SMALL = Sampling(responses_per_prompt=3, max_new_tokens=5, prompts_per_shard=2)
PROMPTS: list[Ids] = [(1, 50, 60, 70, 80), (1,), (1, 9, 8, 7), (1, 30), (1, 50, 60, 70, 80)]
KEY = "sk-a-very-secret-key"


class Waits:
    """Remembers how long a client would have slept, and does not sleep."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float, stopped: threading.Event) -> None:
        self.seconds.append(seconds)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return fakes.model()


@pytest.fixture(scope="module")
def sequences() -> list[TokenSequence]:
    """Of all lengths up to what the server takes; one answer is empty, one stands twice."""
    chance = random.Random(0)
    lengths = [(1, 1), (5, 7), (2, 0), (3, 60), (30, 20), (5, 7), (1, 12), (9, 3)]
    found = [
        TokenSequence(
            tuple(chance.randrange(3, 320) for _ in range(prompt)),
            tuple(chance.randrange(3, 320) for _ in range(response)),
        )
        for prompt, response in lengths
    ]
    return [*found, found[1]]


def served_by(
    server: CompletionsServer, waits: Waits | None = None, **changes: Any
) -> ServedPolicy:
    """A policy of that server, unchecked, that waits for nothing."""
    settings = {"url": server.url, "model": "tiny", "tokenizer": "t", "in_flight": 4}
    served = Served(**{**settings, "sequences_per_request": 2, **changes})
    client = Client(served, pause=waits or Waits(), jitter=random.Random(0))
    config = server.model.config
    reader = Reader(fakes.tokenizer(), config, GenerationConfig.from_model_config(config), "2" * 64)
    known = Checkpoint(source="served.yaml", sha256="1" * 64, dtype="served", n_parameters=0)
    return ServedPolicy(client, reader, known, None, server.longest)


def always(fault: str) -> Callable[[int], Fault]:
    return lambda number: fault


def first(n: int, fault: str) -> Callable[[int], Fault]:
    return lambda number: fault if number < n else None


def at_random(seed: int, share: float = 0.4, *, hangs: bool = True) -> Callable[[int], Fault]:
    """Each request fails with this chance, in one of all ways."""
    chance = random.Random(seed)
    ways = ["429", "429 after 2", "500", "502", "503 after 1", "cut", "drop"]
    ways += ["hang"] if hangs else []
    drawn = [chance.choice(ways) if chance.random() < share else None for _ in range(5000)]
    return lambda number: drawn[number]


def assert_alike(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype == torch.float32
        assert torch.allclose(one, other, rtol=0, atol=TOLERANCE_NATS)


# --- scores -----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_server_and_the_same_weights_here_agree(
    architecture: str, sequences: list[TokenSequence]
):
    made = fakes.model(architecture)
    with CompletionsServer(made) as server:
        there = score_policy(served_by(server), sequences, SMALL)
    assert_alike(there, score_policy(fakes.policy(made), sequences, SMALL))


def test_what_is_asked_is_a_plain_score_of_ids(
    model: PreTrainedModel, sequences: list[TokenSequence]
):
    with CompletionsServer(model) as server:
        served_by(server).nats(sequences)
    asked = [tuple(prompt) for body in server.asked for prompt in body["prompt"]]
    wanted = [(*one.prompt_ids, *one.response_ids) for one in sequences if one.response_ids]
    assert sorted(asked) == sorted(wanted)  # each once: none lost, none doubled
    for body in server.asked:
        assert (body["max_tokens"], body["prompt_logprobs"]) == (1, 0)
        assert (body["temperature"], body["top_p"], body["repetition_penalty"]) == (1, 1, 1)


def test_nothing_is_asked_about_empty_answers(model: PreTrainedModel):
    with CompletionsServer(model) as server:
        assert [len(row) for row in served_by(server).nats([TokenSequence((1, 2), ())] * 2)] == [
            0,
            0,
        ]
        assert served_by(server).nats([]) == []
    assert server.asked == []


def test_a_score_of_the_longest_sequence_that_is_allowed(model: PreTrainedModel):
    with CompletionsServer(model, longest=40) as server:
        policy = served_by(server)
        assert policy.context_tokens == 39
        whole = TokenSequence((1,), tuple(range(3, 3 + policy.context_tokens - 1)))
        assert len(policy.nats([whole])[0]) == policy.context_tokens - 1
        with pytest.raises(ServerError, match=r"status 400.*maximum context length is 40"):
            policy.nats([TokenSequence((1, 1), whole.response_ids)])


def test_answers_that_come_in_another_order_are_put_right(
    model: PreTrainedModel, sequences: list[TokenSequence]
):
    def turned(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"choices": answer["choices"][::-1]}

    with CompletionsServer(model) as server:
        plain = served_by(server, sequences_per_request=4).nats(sequences)
        server.distort = turned
        permuted = served_by(server, sequences_per_request=4).nats(sequences)
    assert all(torch.equal(one, other) for one, other in zip(plain, permuted, strict=True))


def test_so_many_requests_at_once_and_no_more(
    model: PreTrainedModel, sequences: list[TokenSequence]
):
    with CompletionsServer(model) as server:
        served_by(server, sequences_per_request=1, in_flight=3).nats(sequences * 4)
    assert 1 < server.most_at_once <= 3


# --- what may pass ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_failures_at_random_change_no_number(
    seed: int, model: PreTrainedModel, sequences: list[TokenSequence]
):
    with CompletionsServer(model) as server:
        calm = served_by(server).nats(sequences * 3)
    with CompletionsServer(model, fault=at_random(seed)) as server:
        policy = served_by(server, timeout_seconds=0.5, attempts=50)
        tried = policy.nats(sequences * 3)
    assert all(torch.equal(one, other) for one, other in zip(calm, tried, strict=True))
    facts = policy.path.facts()
    assert facts["path"] == "served"
    again = {name: n for name, n in facts.items() if name.startswith("again")}
    assert sum(again.values()) == facts["requests"] - math.ceil(3 * 8 / 2) > 0
    assert any("429" in name for name in again)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["429", "500", "503", "408", "cut", "drop", "hang"])
def test_what_passes_is_tried_again(
    fault: str, model: PreTrainedModel, sequences: list[TokenSequence]
):
    waits = Waits()
    with CompletionsServer(model, fault=first(2, fault)) as server:
        policy = served_by(server, waits, timeout_seconds=0.5 if fault == "hang" else 60.0)
        assert_alike(policy.nats(sequences[:1]), fakes.policy(model).nats(sequences[:1]))
    assert len(waits.seconds) == 2


def test_waits_double_up_to_a_limit_and_the_attempts_are_bounded(
    model: PreTrainedModel, sequences: list[TokenSequence]
):
    waits = Waits()
    with CompletionsServer(model, fault=always("500")) as server:
        policy = served_by(server, waits, attempts=9, first_wait_seconds=0.5)
        with pytest.raises(
            ServerError, match=r"no usable answer in 9 attempts.*status 500.*same co"
        ):
            policy.nats(sequences[:1])
    assert len(server.asked) == 9
    assert len(waits.seconds) == 8  # none after the last
    assert waits.seconds == sorted(waits.seconds)
    for number, seconds in enumerate(waits.seconds):
        full = min(0.5 * 2**number, 60)
        assert full / 2 <= seconds <= full


def test_the_waits_of_many_askers_spread(model: PreTrainedModel):
    with CompletionsServer(model) as server:
        policy = served_by(server)
    found = {policy.client._wait_seconds(3, _failed(0.0)) for _ in range(20)}
    assert len(found) == 20


def _failed(after: float) -> Any:
    from irl.policies.served.client import _Failed

    return _Failed("status 429: slow down", after)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_what_the_server_asks_to_wait_is_waited(
    form: str, model: PreTrainedModel, sequences: list[TokenSequence]
):
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=33), usegmt=True)
    after = {"seconds": "33", "date": then}[form]
    waits = Waits()
    with CompletionsServer(model, fault=first(1, f"429 after {after}")) as server:
        served_by(server, waits).nats(sequences[:1])
    (waited,) = waits.seconds
    assert 25 < waited <= 33


@pytest.mark.parametrize("said", ["soon", "-5", "", "Mon, 01 Jan 99999999999 00:00:00 GMT"])
def test_a_retry_after_that_is_nonsense_is_passed_over(
    said: str, model: PreTrainedModel, sequences: list[TokenSequence]
):
    waits = Waits()
    with CompletionsServer(model, fault=first(1, f"429 after {said}")) as server:
        served_by(server, waits).nats(sequences[:1])
    assert waits.seconds[0] <= 0.5


def test_a_server_that_asks_for_an_hour_is_given_up_at_once(
    model: PreTrainedModel, sequences: list[TokenSequence]
):
    waits = Waits()
    with (
        CompletionsServer(model, fault=always("429 after 3600")) as server,
        pytest.raises(ServerError, match=r"come back in 3600 s"),
    ):
        served_by(server, waits).nats(sequences[:1])
    assert waits.seconds == []


def test_a_server_that_is_not_there_is_told_in_words(model: PreTrainedModel):
    with CompletionsServer(model) as server:
        policy = served_by(server, attempts=2)
    with pytest.raises(ServerError, match=r"2 attempts.*Connect"):
        policy.nats([TokenSequence((1,), (5,))])


# --- what will not pass -----------------------------------------------------------------------


def distorted(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], Any]:
    """Change the first choice."""

    def distort(answer: dict[str, Any]) -> dict[str, Any]:
        change(answer["choices"][0])
        return answer

    return distort


def put(at: int, value: object) -> Callable[[dict[str, Any]], object]:
    """Another log-probability."""

    def change(choice: dict[str, Any]) -> None:
        (entry,) = choice["prompt_logprobs"][at].values()
        entry["logprob"] = value

    return change


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no such feature": (lambda one: one.pop("prompt_logprobs"), "without prompt_logprobs"),
    "null instead": (lambda one: one.update(prompt_logprobs=None), "without prompt_logprobs"),
    "one null": (lambda one: one["prompt_logprobs"].__setitem__(-1, None), "is null"),
    "a null logprob": (put(-1, None), "is None"),
    "NaN": (put(-1, math.nan), "is nan"),
    "words": (put(-1, "-1.5"), "is '-1.5'"),
    "yes": (put(-1, True), "is True"),
    "beyond all floats": (put(-1, -(10**400)), "is -1000"),
    "minus infinity": (put(-1, -math.inf), "is -inf"),
    "vLLM's minus infinity": (put(-1, -9999.0), "minus infinity"),
    "above 0": (put(-1, 0.5), "above 0"),
    "a token less": (lambda one: one["prompt_logprobs"].pop(), "log-probabilities for"),
    "another token": (
        lambda one: one["prompt_logprobs"].__setitem__(-1, {"3": {"logprob": -1.0}}),
        "names token 3",
    ),
    "another token of the prompt": (
        lambda one: one["prompt_logprobs"].__setitem__(1, {"3": {"logprob": -1.0}}),
        "names token 3",
    ),
    "another prompt": (lambda one: one["prompt_token_ids"].append(5), "another prompt"),
    "another number": (lambda one: one.update(index=1), "numbered"),
    "no number": (lambda one: one.pop("index"), "numbered"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_that_is_not_about_what_was_asked_is_an_error_in_words(
    case: str, model: PreTrainedModel
):
    change, words = WRONG[case]
    with (
        CompletionsServer(model, distort=distorted(change)) as server,
        pytest.raises(ServerError, match=words) as error,
    ):
        served_by(server, sequences_per_request=1).nats([TokenSequence((1, 7, 8), (9, 10))])
    assert server.url in str(error.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [{}, {"choices": {}}, {"choices": [1]}, {"choices": []}, {"error": "no"}],
    ids=json.dumps,
)
def test_an_answer_without_choices_is_an_error_in_words(
    answer: dict[str, Any], model: PreTrainedModel
):
    with (
        CompletionsServer(model, distort=lambda _: answer or {"id": "x"}) as server,
        pytest.raises(ServerError, match=r"choices|answers"),
    ):
        served_by(server).nats([TokenSequence((1, 7, 8), (9, 10))])


def test_a_refusal_is_told_at_once(model: PreTrainedModel, sequences: list[TokenSequence]):
    with (
        CompletionsServer(model) as server,
        pytest.raises(ServerError, match=r"status 404.*other does not exist.*/v1.*other"),
    ):
        served_by(server, model="other", in_flight=1).nats(sequences)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", ["301", "307", "400", "403", "413", "422"])
def test_a_status_that_will_not_pass_is_not_tried_again(status: str, model: PreTrainedModel):
    with CompletionsServer(model, fault=always(status)) as server:
        policy = served_by(server)
        with pytest.raises(ServerError, match=rf"status {status}|sends on to elsewhere"):
            policy.nats([TokenSequence((1,), (5,))])
    assert len(server.asked) == 1


def test_a_key_is_sent_and_never_said(
    model: PreTrainedModel, sequences: list[TokenSequence], monkeypatch: pytest.MonkeyPatch
):
    with CompletionsServer(model, key=KEY) as server:
        monkeypatch.setenv("SERVED_KEY", KEY)
        assert served_by(server, key_env="SERVED_KEY").nats(sequences[:1])[0].numel() == 1
        server.key = "another"  # the server repeats the wrong key in its refusal
        with pytest.raises(ServerError, match=r"status 401.*\*\*\*.*SERVED_KEY") as error:
            served_by(server, key_env="SERVED_KEY").nats(sequences[:1])
        assert KEY not in str(error.value)
        monkeypatch.delenv("SERVED_KEY")
        with pytest.raises(InputError, match=r"that key_env names is not set"):
            served_by(server, key_env="SERVED_KEY").nats(sequences[:1])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"api_key: {KEY}", "unknown setting api_key"),
        (f"url: http://me:{KEY}@host/v1", "key_env"),
        ("url: file:///etc/passwd", "address like"),
        ("url: http://host/v1?key=1", "key_env"),
        (f"url: http://me:{KEY}@host/v1?key={KEY}", "nothing but scheme"),
        (f"url: http://host/v1?api_key={KEY}", "nothing but scheme"),
        (f"url: http://host/{KEY}:{KEY}@x", "nothing but scheme"),
        (f"url: http://localhost:{KEY}/v1", "url .*with a port from 0"),
        ("url: http://localhost:99999/v1", "url .*with a port from 0"),
        ("url: http://[::1/v1", "url .*address like"),
        ("url: http://\N{SNOWMAN}.x/v1", "url .*no name that can be looked up"),
        ("url: http://..../v1", "url .*no name that can be looked up"),
        (f"url: http://{'a' * 64}.x/v1", "url .*no name that can be looked up"),
        (f"url: [{KEY}]", "url .*string"),
        (f"key_env: {KEY}", "key_env .*not the key itself"),
        (f"key_env: [{KEY}]", "key_env .*string"),
        ("key_env: 1KEY", "key_env .*not the key itself"),
        (f"{KEY}: x", "unknown setting;"),
        (f"model: {{{KEY}: x}}", "model .*string"),
        (f"timeout_seconds: {KEY}", "timeout_seconds .*number"),
        ("in_flight: 0", "in_flight"),
        ("- a list", "cannot be read|key: value"),
        ("url: [", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_without_its_key(line: str, words: str, tmp_path: Path):
    file = tmp_path / "served.yaml"
    given = {"url": "url: http://host/v1", "model": "model: m", "tokenizer": "tokenizer: t"}
    given[line.partition(":")[0]] = line
    file.write_text("\n".join(given.values()), encoding="utf-8")
    with pytest.raises(InputError, match=words) as error:
        read_served(str(file))
    assert KEY not in str(error.value)


@pytest.mark.parametrize("port", ["", ":8000"])
@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "host.", "b\u00fccher.de", "a_b"]
)
def test_addresses_that_can_be_looked_up_are_kept(host: str, port: str):
    url = f"http://{host}{port}/v1"
    assert Served(url=f"{url}/", model="m", tokenizer="t", key_env="_MY_KEY2").url == url


def test_what_key_env_holds_is_not_repeated_where_no_variable_has_that_name():
    """Letters and digits alone may be a name or a key."""
    served = Served(url="http://localhost:1/v1", model="m", tokenizer="t", key_env="sk4f9SECRET")
    with pytest.raises(InputError, match="key_env names is not set") as error:
        Client(served).get("/models")
    assert "SECRET" not in str(error.value)


NASTY = f"\x1b[31m\r\n\u202e{KEY}" + "x" * 5000
"Colours, a line of its own, text turned round, the key, and no end"
QUOTING: dict[str, Callable[[dict[str, Any]], object]] = {
    "a token": lambda one: one["prompt_logprobs"].__setitem__(-1, {NASTY: {"logprob": -1.0}}),
    "a score": put(-1, NASTY),
    "a long way to the key": put(-1, "x" * 170 + KEY),  # of which a cut would leave a part
    "a number": lambda one: one.update(index=NASTY),
}


@pytest.mark.parametrize("case", QUOTING)
def test_what_a_server_says_in_an_answer_is_shown_plainly(
    case: str, model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SERVED_KEY", KEY)
    with CompletionsServer(model, key=KEY, distort=distorted(QUOTING[case])) as server:
        policy = served_by(server, sequences_per_request=1, key_env="SERVED_KEY")
        with pytest.raises(ServerError, match="cannot be used") as error:
            policy.nats([TokenSequence((1, 7, 8), (9, 10))])
    said = str(error.value)
    assert said.isprintable()
    assert "***" in said
    assert KEY[:10] not in said
    assert len(said) < 800


def test_a_key_is_not_shown_in_another_spelling(monkeypatch: pytest.MonkeyPatch):
    key = "a\\b'c\"d"
    monkeypatch.setenv("SERVED_KEY", key)
    served = Served(url="http://h/v1", model="m", tokenizer="t", key_env="SERVED_KEY")
    said = Client(served).plain(f"{key} {key!r} {json.dumps(key)}")
    assert "b" not in said
    assert "c" not in said


# --- answers ----------------------------------------------------------------------------------


def drawn_by(policy: Policy, prompts: list[Ids], seed: int, n_tokens: int = 12) -> list[Ids]:
    sampling = SMALL.model_copy(update={"max_new_tokens": n_tokens})
    generator = torch.Generator().manual_seed(seed)
    return draw_answers(policy, prompts, generator, policy.eos_ids, sampling)


def test_answers_end_with_their_end_token_or_at_the_limit(model: PreTrainedModel):
    ends = frozenset(range(2, 60))  # frequent enough to be drawn
    with CompletionsServer(model, eos_ids=EOS) as server:
        policy = served_by(server)
        generator = torch.Generator().manual_seed(0)
        answers = draw_answers(policy, [(1, 5)] * 20, generator, ends, SMALL)
    short = [answer for answer in answers if len(answer) < SMALL.max_new_tokens]
    assert 5 < len(short) < 20
    assert all(answer[-1] in ends for answer in short)
    assert all(not ends & set(answer[:-1]) for answer in answers)


@pytest.mark.slow
def test_copies_of_a_prompt_get_answers_of_their_own_the_same_ones_each_time(
    model: PreTrainedModel,
):
    """The server gives every prompt of one request its seed, as vLLM does."""
    with CompletionsServer(model) as server:
        policy = served_by(server)
        once, twice = (drawn_by(policy, [(1, 5)] * 10, seed=3, n_tokens=6) for _ in range(2))
        other = drawn_by(policy, [(1, 5)] * 10, seed=4, n_tokens=6)
    assert once == twice != other
    assert len(set(once)) == 10
    assert len({body["seed"] for body in server.asked[:10]}) == 10


def test_different_prompts_do_not_share_their_luck(model: PreTrainedModel):
    """Same seeds would give policies that hardly differ the same tokens after all prompts."""
    with CompletionsServer(model) as server:
        drawn_by(served_by(server), PROMPTS, seed=0, n_tokens=1)
    assert len({body["seed"] for body in server.asked}) == len(PROMPTS)


def test_the_defaults_of_a_checkpoint_do_not_narrow_its_samples(model: PreTrainedModel):
    with CompletionsServer(model, defaults={"top_k": 1, "temperature": 0.01}) as server:
        answers = drawn_by(served_by(server), [(1, 5)] * 20, seed=0, n_tokens=1)
    assert len(set(answers)) > 5


def test_the_temperature_is_that_of_the_settings(model: PreTrainedModel):
    cold = SMALL.model_copy(update={"temperature": 1e-4, "max_new_tokens": 4})
    with CompletionsServer(model) as server:
        there = draw_answers(served_by(server), PROMPTS, torch.Generator(), EOS, cold)
    here = draw_answers(fakes.policy(model), PROMPTS, torch.Generator(), EOS, cold)
    assert there == here  # the likeliest tokens


UNUSABLE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "text alone": (lambda one: one.pop("token_ids"), "does not give the ids"),
    "null": (lambda one: one.update(token_ids=None), "does not give the ids"),
    "strings": (lambda one: one.update(token_ids=["the"]), "does not give the ids"),
    "too many": (lambda one: one.update(token_ids=[5] * 9), "9 tokens where 5"),
    "cut short": (lambda one: one.update(token_ids=[5, 6]), "stops at token 6"),
    "beyond the vocabulary": (lambda one: one.update(token_ids=[5] * 4 + [10**12]), "vocabulary"),
    "below it": (lambda one: one.update(token_ids=[-1] * 5), "vocabulary"),
    "nothing": (lambda one: one.update(token_ids=[]), "stops at nothing"),
    "beyond the end": (lambda one: one.update(token_ids=[5, 2, 5, 5, 5]), "goes on after"),
    "another prompt": (lambda one: one.update(prompt_token_ids=[1, 1]), "another prompt"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_answer_that_cannot_be_believed_is_an_error_in_words(case: str, model: PreTrainedModel):
    change, words = UNUSABLE[case]
    with (
        CompletionsServer(model, distort=distorted(change)) as server,
        pytest.raises(ServerError, match=words),
    ):
        drawn_by(served_by(server), [(1, 5)], seed=0, n_tokens=5)


# --- a pair, in shards ------------------------------------------------------------------------


def tables(pair: PolicyPair, folder: Path) -> tuple[pa.Table, pa.Table]:
    """Sampled and scored, three sequences to a shard."""
    work = Workshop(folder, SMALL, seed=7)
    drawn = sample_pair(pair, PROMPTS, work)
    sequences = [
        TokenSequence(PROMPTS[row["prompt"]], tuple(row["token_ids"])) for row in drawn.to_pylist()
    ]
    return drawn, pa.concat_tables(score_parts(pair, slices(sequences, 3), work))


@pytest.mark.slow
def test_a_run_with_failures_and_a_death_on_the_way_ends_as_one_without(
    model: PreTrainedModel, tmp_path: Path
):
    reference = fakes.policy(fakes.nudged(model, 0.2))
    with CompletionsServer(model) as server:
        calm = tables(PolicyPair(served_by(server), reference), tmp_path / "calm")
        n_requests = len(server.asked)
    shaken = at_random(5, share=0.2, hangs=False)

    def dies(number: int) -> Fault:
        return "503" if number > n_requests else shaken(number)

    with CompletionsServer(model, fault=dies) as server:
        policy = served_by(server, attempts=12)
        with pytest.raises(ServerError, match=r"same command goes on"):
            tables(PolicyPair(policy, reference), tmp_path / "shaken")
    kept = sorted(file.name for file in (tmp_path / "shaken").glob("*.parquet"))
    assert any(name.startswith("scored") for name in kept)
    with CompletionsServer(model) as server:
        again = tables(PolicyPair(served_by(server), reference), tmp_path / "shaken")
        assert 0 < len(server.asked) < n_requests  # what was kept is not asked again
    assert again[0].equals(calm[0])
    assert again[1].equals(calm[1])


def test_a_served_pair_scores_as_the_local_pair(model: PreTrainedModel, tmp_path: Path):
    other = fakes.model(seed=3)
    sequences = [TokenSequence((1, 9), (n, n + 1, 2)) for n in range(3, 30)]
    with CompletionsServer(model) as one, CompletionsServer(other) as two:
        pair = PolicyPair(served_by(one), served_by(two))
        assert pair.served
        assert not pair.shared
        assert not pair.identical()
        there = score_pair(pair, sequences, Workshop(tmp_path / "there", SMALL, seed=0))
        facts = scoring_facts(aligned=pair.aligned, reference=pair.reference)
    local = PolicyPair(fakes.policy(model), fakes.policy(other))
    here = score_pair(local, sequences, Workshop(tmp_path / "here", SMALL, seed=0))
    for side in ("aligned_nats", "reference_nats"):
        for ours, theirs in zip(here[side].to_pylist(), there[side].to_pylist(), strict=True):
            assert ours == pytest.approx(theirs, abs=TOLERANCE_NATS)
    assert facts["aligned"] == {"path": "served", "requests": 14}


# --- what a served policy does not have -------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "body", "device", "streamed_head", "body_arguments"])
def test_what_needs_weights_is_refused_in_words(name: str, model: PreTrainedModel):
    with CompletionsServer(model) as server:
        policy = served_by(server)
    with pytest.raises(PolicyError, match=r"served\.yaml is served.*weights and hidden states"):
        getattr(policy, name)


def test_a_served_policy_ends_and_pads_as_the_local_one(model: PreTrainedModel):
    with CompletionsServer(model) as server:
        policy = served_by(server)
    here = fakes.policy(model)
    assert (policy.eos_ids, policy.pad_id) == (here.eos_ids, here.pad_id)
    assert policy.folder is None


# --- requests side by side --------------------------------------------------------------------


def test_results_come_in_the_order_of_the_items():
    done = side_by_side(lambda item, _: item * item, range(50), 7)
    assert done == [n * n for n in range(50)]
    assert side_by_side(lambda item, _: item, [], 7) == []


def test_after_a_failure_nothing_new_is_begun():
    begun: list[int] = []

    def work(item: int, stopped: threading.Event) -> int:
        begun.append(item)
        if item == 3:
            raise ServerError("no")
        stopped.wait(0.01)
        return item

    with pytest.raises(ServerError, match=r"no"):
        side_by_side(work, range(1000), 2)
    assert len(begun) < 20


def test_nothing_is_tried_again_once_nobody_waits(model: PreTrainedModel):
    stopped = threading.Event()
    stopped.set()
    with CompletionsServer(model, fault=always("500")) as server, pytest.raises(ServerError):
        served_by(server).client.post("/completions", {}, stopped)
    assert len(server.asked) == 1


def test_an_interruption_does_not_wait_for_a_server_that_hangs(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
):
    """The main thread is interrupted where it waits; the daemon threads are left behind."""

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    began = datetime.now(UTC)
    with CompletionsServer(model, fault=always("hang")) as server:
        policy = served_by(server)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "join", interrupted)
            with pytest.raises(KeyboardInterrupt):
                policy.nats([TokenSequence((1,), (5,))])
    assert (datetime.now(UTC) - began).total_seconds() < 20


# --- surprise ---------------------------------------------------------------------------------


def test_samples_are_as_surprising_as_their_entropy_says(model: PreTrainedModel):
    """Over every token that may follow, weighted by its probability, the excess is 0."""
    policy = fakes.policy(model)
    every = [TokenSequence((1, 50), (token,)) for token in range(320)]
    excess = surprises(policy, every).nats
    p = model(input_ids=torch.tensor([[1, 50]])).logits[0, -1].detach().double().softmax(-1).numpy()
    assert p @ excess == pytest.approx(0, abs=1e-5)
    variance = surprises(policy, every).variance
    assert variance == pytest.approx(np.full(320, p @ excess**2), rel=1e-4)
    entropy = -(p * torch.tensor(p).log().numpy()).sum()
    assert excess.max() == pytest.approx(-math.log(p.min()) - entropy, abs=1e-4)


class Split(Policy):
    """Its head lies elsewhere than its body, as `device_map` may put it."""

    @property
    def head_device(self) -> torch.device:
        return torch.device("meta")

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(f"the head is on meta, and what it is given on {hidden.device}")


@pytest.mark.parametrize("read", [surprises, Policy.nats])
def test_a_head_that_lies_elsewhere_is_given_what_it_reads(
    read: Callable[[Policy, list[TokenSequence]], object], model: PreTrainedModel
):
    whole = fakes.policy(model)
    policy = Split(model, whole.tokenizer, whole.checkpoint)
    with pytest.raises(RuntimeError, match="given on meta"):
        read(policy, [TokenSequence((1, 50), (7, 8, 9))])


def test_surprise_adds_up_over_an_answer_and_batches_do_not_matter(model: PreTrainedModel):
    policy = fakes.policy(model)
    whole = TokenSequence((1, 50), (7, 8, 9))
    parts = [TokenSequence((1, 50, 7, 8, 9)[: 2 + n], ((7, 8, 9)[n],)) for n in range(3)]
    together = surprises(policy, [whole, *parts, TokenSequence((1,), tuple(range(3, 50)))]).nats
    assert together[0] == pytest.approx(together[1:4].sum(), abs=1e-4)
    assert surprises(policy, [whole]).nats[0] == pytest.approx(together[0], abs=1e-4)
