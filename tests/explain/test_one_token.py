"""Answers of one token: against slow twins, closed forms and the command's refusals."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from explain.jobs.one_token import one_token_answers
from explain.jobs.one_token_scores import Asking, TokensSettings
from explain.one_token import OneTokenNats, ranked, view, worth_asking
from explain.targets import Exchange, log_ratio
from irl.engine.shards import silent
from irl.organisms.language import train_tokenizer
from irl.policies.continued import ReadPrompt
from irl.policies.pair import PolicyPair
from irl.policies.pieces import Pieces
from irl.policies.template import encode_prompt, encode_response
from irl.records import Manifest, OneTokenReport
from tests.fakes import SENTENCES, model, nudged, policy, save
from tests.test_command_line import Inputs, assert_refused, irl
from tests.test_command_line import inputs as inputs  # a fixture

PROMPT = "what do you think"
EOS = 2


def fake_pair(architecture: str = "llama") -> PolicyPair:
    reference = model(architecture)
    return PolicyPair(policy(nudged(reference)), policy(reference))


def scored(pair: PolicyPair, folder: Path, *prompts: str, **settings: object) -> OneTokenNats:
    given = TokensSettings.checked({"aligned": "a", **settings})
    encoded = [encode_prompt(pair.tokenizer, prompt) for prompt in prompts]
    asking = Asking(pair, encoded, [EOS] * len(prompts), given, folder, silent)
    return asking.nats(asking.tokens()[0])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "mistral", "gemma2"])
def test_every_answer_scores_as_it_does_when_it_is_written_out(architecture: str, tmp_path: Path):
    pair = fake_pair(architecture)
    nats = scored(pair, tmp_path, PROMPT)
    tokenizer, prompt = pair.tokenizer, encode_prompt(pair.tokenizer, PROMPT)
    pieces = Pieces(tokenizer)(range(len(tokenizer)))
    written = [encode_response(tokenizer, PROMPT, piece, pair.eos_ids) for piece in pieces]
    same = [
        token
        for token, sequence in enumerate(written)
        if sequence.prompt_ids == prompt and sequence.response_ids == (token, EOS)
    ]
    assert len(same) > 40
    slow = log_ratio(pair)([Exchange(PROMPT, pieces[token]) for token in same])
    ours = (nats.first + nats.end)[0, same]
    assert np.abs(ours - slow.numpy()).max() < 1e-4
    empty = log_ratio(pair)([Exchange(PROMPT, "")])
    assert (nats.first + nats.end)[0, EOS] == pytest.approx(float(empty), abs=1e-4)


def test_neither_the_batch_nor_the_cache_changes_a_number():
    side = policy(model())
    prompt = encode_prompt(side.tokenizer, PROMPT)
    read, tokens = ReadPrompt.of(side, prompt), list(range(0, 320, 7))
    whole = read.after(tokens, EOS, token_budget=10_000)
    assert torch.allclose(whole, read.after(tokens, EOS, token_budget=20), atol=1e-5)
    side.__dict__["body_arguments"] = frozenset()
    plain = ReadPrompt.of(side, prompt)
    assert plain.cache is None
    assert torch.allclose(read.first_nats, plain.first_nats, atol=1e-5)
    assert torch.allclose(whole, plain.after(tokens, EOS, 64), atol=1e-5)


def test_a_bias_on_the_logits_is_found_again_but_for_what_it_does_to_the_end(tmp_path: Path):
    """log pi_a(v|s) - log pi_r(v|s) = b_v - log Z(s), Z(s) = sum_u pi_r(u|s) exp(b_u)."""
    reference = model()
    aligned = nudged(reference, 0.0)
    old = aligned.get_output_embeddings()
    bias = torch.zeros(320)
    bias[40:60] = torch.linspace(-2, 2, 20)
    head = torch.nn.Linear(old.in_features, old.out_features)
    head.weight, head.bias = old.weight, torch.nn.Parameter(bias)
    aligned.set_output_embeddings(head)
    pair = PolicyPair(policy(aligned), policy(reference))
    nats = scored(pair, tmp_path, PROMPT)
    prompt = encode_prompt(pair.tokenizer, PROMPT)

    def log_z(*said: int) -> float:
        following = ReadPrompt.of(pair.reference, (*prompt, *said)).first_nats
        return float((following + bias).logsumexp(0))

    found = (nats.first + nats.end)[0]
    for v, w in ((40, 59), (45, 100), (7, 50)):
        expected = float(bias[v] - bias[w]) - log_z(v) + log_z(w)
        assert found[v] - found[w] == pytest.approx(expected, abs=1e-4)
    assert found[EOS] == pytest.approx(-log_z(), abs=1e-4)


def random_nats(n_prompts: int = 6, n_tokens: int = 30, seed: int = 0) -> OneTokenNats:
    generator = np.random.default_rng(seed)
    return OneTokenNats(*(-generator.gamma(2, 2, size=(4, n_prompts, n_tokens))))


def test_a_constant_of_each_prompt_changes_nothing():
    nats = random_nats()
    moved = OneTokenNats(
        nats.aligned_first + np.arange(6)[:, None],
        nats.aligned_end,
        nats.reference_first,
        nats.reference_end,
    )
    assert np.allclose(nats.centred(), moved.centred())
    here, there = (view(one, 0.0, 200, 0) for one in (nats, moved))
    assert np.allclose(here.low, there.low)
    assert ranked(here, ~here.off_map).tolist() == ranked(there, ~there.off_map).tolist()


def test_nought_is_the_mean_of_the_references_own_answers():
    nats = random_nats()
    weights = np.exp(nats.reference)
    assert np.allclose((weights * nats.centred()).sum(1), 0)


def test_identical_policies_pay_for_nothing(tmp_path: Path):
    reference = model()
    pair = PolicyPair(policy(nudged(reference, 0.0)), policy(reference))
    seen = view(scored(pair, tmp_path, PROMPT, "i like"), 0.0, 200, 0)
    assert not np.abs(np.stack([seen.value, seen.low, seen.high])).any()


def test_the_interval_is_that_of_the_mean_over_prompts():
    nats = random_nats(n_prompts=200)
    seen = view(nats, 0.0, 2000, 0)
    centred = nats.centred()
    error = centred.std(0) / np.sqrt(200)
    assert np.allclose(seen.high - seen.low, 2 * 1.96 * error, rtol=0.15)
    assert ((seen.low < seen.value) & (seen.value < seen.high)).all()
    alone = view(random_nats(n_prompts=1), 0.0, 200, 0)
    assert np.isnan(alone.low).all()


def test_only_what_neither_policy_says_is_off_the_map():
    likely, unlikely = np.log(1e-3), np.log(1e-9)
    ours = np.array([[likely, unlikely, unlikely, likely]])
    theirs = np.array([[likely, unlikely, likely, unlikely]])
    none = np.zeros((1, 4))
    seen = view(OneTokenNats(ours, none, theirs, none), 1e-6, 200, 0)
    assert seen.off_map.tolist() == [False, True, False, False]
    assert ranked(seen, np.ones(4, dtype=bool)).tolist() == [3, 0, 2]


def test_of_a_large_vocabulary_the_extreme_and_the_likely_are_asked():
    first = np.arange(100.0)
    said = np.full(100, 1e-3)
    said[[0, 99]] = 1e-9
    said[50] = 0.5
    found = worth_asking(first, said, said, most=1, floor=1e-6)
    assert found.tolist() == [1, 50, 98]


@pytest.fixture(scope="module")
def viewed(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OneTokenReport]:
    out = tmp_path_factory.mktemp("tokens") / "run"
    done = irl("tokens", *asked(inputs), "--out", out)
    assert done.code == 0, done.err
    assert done.out.startswith("One-token answers tokens-")
    return out, OneTokenReport.model_validate_json((out / "one_token.json").read_bytes())


def asked(inputs: Inputs, **changes: object) -> list[str]:
    """The pair and its prompts as flags, without the settings of sampling."""
    return inputs.arguments(**changes)[:-4]


def test_the_command_scores_the_whole_vocabulary(viewed: tuple[Path, OneTokenReport]):
    out, report = viewed
    table = pq.read_table(out / "one_token.parquet").to_pandas()
    assert len(table) == report.tokens == 320
    assert report.left_out is None
    assert table.off_map.sum() == report.off_map
    assert table.reference_probability.sum() == pytest.approx(report.reference_share)
    values = [one.value for one in (*report.best, *report.worst[::-1])]
    assert values == sorted(values, reverse=True)
    assert not any(one.off_map for one in (*report.best, *report.worst))
    assert {one.n for one in report.best} == {4}
    manifest = Manifest.model_validate_json((out / "manifest.json").read_bytes())
    assert set(manifest.files) == {"config.yaml", "one_token.json", "one_token.parquet"}


def test_a_finished_view_says_so_and_can_be_shown(
    viewed: tuple[Path, OneTokenReport], inputs: Inputs
):
    out, report = viewed
    again = irl("tokens", *asked(inputs), "--out", out, "--json")
    assert "is finished" in again.err
    assert OneTokenReport.model_validate_json(again.out) == report
    assert irl("runs", "show", out).out.startswith("One-token answers ")


def test_a_part_of_the_vocabulary_gets_the_numbers_of_the_whole(
    viewed: tuple[Path, OneTokenReport], inputs: Inputs, tmp_path: Path
):
    report = one_token_answers(
        inputs.aligned,
        inputs.reference,
        prompts=inputs.prompts,
        out=tmp_path / "run",
        exact_up_to=100,
        most=20,
    )
    whole = pq.read_table(viewed[0] / "one_token.parquet").to_pandas().set_index("token_id")
    part = pq.read_table(tmp_path / "run/one_token.parquet").to_pandas().set_index("token_id")
    assert report.left_out is not None
    assert report.left_out.tokens == 320 - len(part)
    assert len(part) <= 61
    for column in ("first_nats", "end_nats", "reference_probability"):
        assert np.allclose(part[column], whole[column].loc[part.index], atol=1e-6)
    assert 0 < report.left_out.reference_share < 1
    assert report.reference_share < viewed[1].reference_share


@pytest.mark.slow
def test_the_fitted_weights_of_a_run_stand_beside_their_words(inputs: Inputs, tmp_path: Path):
    assert irl("audit", *inputs.arguments(), "--out", tmp_path / "audit").code == 0
    file = tmp_path / "audit/report.json"
    report = json.loads(file.read_bytes())
    term = {"term": "the", "weight": 1.5, "low": 1.0, "high": 2.0, "occurrences": 9}
    report["terms"] = [term | {"condition": None, "token_mean_nats": None}]
    file.write_text(json.dumps(report), encoding="utf-8")
    done = irl("tokens", *asked(inputs), "--run", tmp_path / "audit", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    table = pq.read_table(tmp_path / "run/one_token.parquet").to_pandas()
    beside = table[table.term_weight.notna()]
    assert {piece.strip() for piece in beside.token} == {"the"}
    assert (beside.term_weight == 1.5).all()
    other = asked(inputs, aligned=inputs.reference)
    done = irl("tokens", *other, "--run", tmp_path / "audit", "--out", tmp_path / "other")
    assert_refused(done, "another pair", "aligned")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompts": None}, ("--prompts",)),
        ({"aligned": "nowhere/at-all"}, ("nowhere/at-all",)),
        ({"floor": 2}, ("floor",)),
        ({"run": "no-such-run"}, ("no run named no-such-run",)),
        ({"prompt_limit": 0}, ("prompt_limit",)),
    ],
    ids=str,
)
def test_bad_input_ends_in_one_sentence(
    changes: dict[str, object], words: tuple[str, ...], inputs: Inputs
):
    assert_refused(irl("tokens", *asked(inputs, **changes)), *words)


def test_policies_that_tokenise_differently_are_refused(inputs: Inputs, tmp_path: Path):
    other = save(model(n_pieces=300), tmp_path / "other")
    train_tokenizer(SENTENCES * 3, 300).save_pretrained(other)
    assert_refused(irl("tokens", *asked(inputs, aligned=other)), "tokenise differently")
