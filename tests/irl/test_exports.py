"""Exports as their consumers call them, each in a process of its own."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from irl.config import Loading
from irl.errors import InputError
from irl.exports.directories import export_directories
from irl.exports.functions import RewardFunctions
from irl.exports.scripts import export_scripts
from irl.exports.server import reward_server
from irl.policies.encoder import load_encoder
from irl.policies.reward_model import load_scorer
from irl.rewards.aggregation import Aggregation
from irl.rewards.embeddings import Embeddings
from irl.rewards.ensemble import Ensemble
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import Form, linear, mlp
from irl.rewards.transformer import TokenIds, transformer
from tests import fakes

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ["what do you think", "please tell me", "i like", "no"]
TEXTS = [" a fine idea", " stupid dog", " red apples and pears", " it is fine today"]
DIRECTORY = """
import json, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folders, texts = json.loads(sys.argv[1])
def scored(folder):
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts_closed = [text + tokenizer.eos_token for text in texts]
    batch = tokenizer(texts_closed, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**{k: batch[k] for k in ("input_ids", "attention_mask")}).logits
    config = model.config
    padded = config.pad_token_id is not None
    return [logits[:, 0].tolist(), config.num_labels, config.problem_type, padded]
found = [scored(folder) for folder in folders]
assert "irl" not in sys.modules
print(json.dumps(found))
"""
SCRIPT = """
import importlib.util, json, sys
def called(file, name, given):
    spec = importlib.util.spec_from_file_location("reward_module", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)(**given)
def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
print(json.dumps([plain(called(*one)) for one in json.loads(sys.argv[1])]))
"""


def in_a_fresh_process(code: str, given: object, folder: Path, *, with_irl: bool) -> Any:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    if with_irl:
        environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(given)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def words(kind: str = "uwo") -> Ensemble:
    reward = HeadReward(WordCounts(("fine", "stupid", "apples")), drawn(linear, 3))
    return Ensemble.standardised(reward, reward.members(TEXTS), Aggregation(kind))


def drawn(form: Form, features: int, members: int = 3) -> Any:
    head = form(members, features, torch.Generator())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return head


def embedded(base: Path, form: Form = linear, pooling: Any = "last") -> Ensemble:
    plain = Embeddings(load_encoder(str(base), Loading(), pooling=pooling))
    reader = plain.standardised(TEXTS, PROMPTS)
    reward = HeadReward(reader, drawn(form, 32))
    return Ensemble.standardised(reward, reward.members(TEXTS, PROMPTS), Aggregation("mean"))


def whole(base: Path) -> Ensemble:
    scorer = load_scorer(str(base), Loading())
    reward = HeadReward(TokenIds(scorer), drawn(transformer(scorer), 0, members=2))
    return Ensemble.standardised(reward, reward.members(TEXTS, PROMPTS), Aggregation("min"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.save(fakes.model("llama"), tmp_path_factory.mktemp("base") / "model")


def logits(tmp_path: Path, *folders: Path) -> list[torch.Tensor]:
    texts = [prompt + text for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    asked = [list(map(str, folders)), texts]
    found = in_a_fresh_process(DIRECTORY, asked, tmp_path, with_irl=False)
    assert all(one[1:] == [1, "regression", True] for one in found)
    assert all((folder / "model.safetensors").is_file() for folder in folders)
    return [torch.tensor(one[0]) for one in found]


@pytest.mark.slow
def test_members_and_their_mean_are_models_that_transformers_loads(base: Path, tmp_path: Path):
    one, many = embedded(base), whole(base)
    _, complete = export_directories(one, tmp_path / "linear")
    _, members_only = export_directories(many, tmp_path / "whole")
    assert complete is None
    assert members_only is not None
    assert "aggregate (min)" in members_only
    assert not (tmp_path / "whole" / "aggregate").exists()
    about = json.loads((tmp_path / "linear" / "ensemble.json").read_text(encoding="utf-8"))
    member, joint, model = logits(
        *(tmp_path, tmp_path / "linear" / "member-1", tmp_path / "linear" / "aggregate"),
        tmp_path / "whole" / "member-1",
    )
    inside = one.reward.members(TEXTS, PROMPTS)[1]
    constants = about["member_constants"][1], about["aggregate_constant"]
    torch.testing.assert_close(member + constants[0], inside, atol=1e-5, rtol=0)
    torch.testing.assert_close(joint + constants[1], one(TEXTS, PROMPTS), atol=1e-5, rtol=0)
    torch.testing.assert_close(model, many.reward.members(TEXTS, PROMPTS)[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("form", "pooling"), [(mlp(4), "last"), (linear, "mean")])
def test_what_is_no_such_model_is_refused(base: Path, tmp_path: Path, form: Form, pooling: str):
    with pytest.raises(InputError, match="the other exports take every ensemble"):
        export_directories(embedded(base, form, pooling), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_trainers_get_the_scores_that_are_known_inside(tmp_path: Path):
    ensemble = words()
    ensemble.save(tmp_path / "run")
    export_scripts(tmp_path / "run", tmp_path / "out")
    inside = ensemble(TEXTS, PROMPTS).double().tolist()

    messages = [[{"role": "assistant", "content": text}] for text in TEXTS]
    asked = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    queries = [prompt + text for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    trl = {"prompts": asked, "completions": messages, "trainer_state": None}
    openrlhf = {"queries": queries, "prompts": PROMPTS, "labels": [""] * 4}
    verl = {"data_source": "d", "solution_str": TEXTS[1], "ground_truth": ""}
    calls = [
        ("trl_reward.py", "reward", trl | {"completion_ids": [[1]] * 4}),
        ("openrlhf_reward.py", "reward_func", openrlhf),
        ("verl_reward.py", "compute_score", verl | {"extra_info": {"prompt": PROMPTS[1]}}),
    ]
    given = [[str(tmp_path / "out" / file), name, columns] for file, name, columns in calls]
    floats, logged, one = in_a_fresh_process(SCRIPT, given, tmp_path, with_irl=True)
    assert floats == pytest.approx(inside, abs=1e-5)
    assert logged["rewards"] == pytest.approx(inside, abs=1e-5)
    assert logged["scores"] == pytest.approx(torch.tensor(inside).sigmoid().tolist(), abs=1e-5)
    assert len(logged["extra_logs"]["member_spread"]) == 4
    assert one["score"] == pytest.approx(inside[1], abs=1e-5)


@pytest.mark.slow
def test_the_server_answers_and_refuses():
    ensemble = words("mean")
    server = reward_server(RewardFunctions(ensemble), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"

    def posted(path: str, given: object) -> tuple[int, Any]:
        request = urllib.request.Request(address + path, json.dumps(given).encode())
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    try:
        queries = [prompt + text for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
        status, said = posted("/get_reward", {"query": queries, "prompts": PROMPTS})
        assert status == 200
        assert said["rewards"] == pytest.approx(ensemble(TEXTS, PROMPTS).tolist(), abs=1e-5)
        for bad in ([], {"query": ["a"]}, {"query": ["a"], "prompts": ["b"]}, {"query": 3}):
            status, said = posted("/get_reward", bad)
            assert (status, set(said)) == (400, {"error"})
        assert posted("/other", {})[0] == 404
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_query_that_a_tokenizer_wrote_differently_still_gives_its_answer():
    functions = RewardFunctions(words("mean"))
    prompts = ["<s><user>I think\nso<bot>", "tell me"]
    queries = ["<s><user> i think so<bot> a fine idea</s>", "tell me apples<|im_end|>\n"]
    found = functions.openrlhf(queries, prompts)["rewards"]
    inside = words("mean")([" a fine idea", " apples"], prompts)
    torch.testing.assert_close(found, inside.double())
    with pytest.raises(InputError, match="Query 2 does not begin with its prompt"):
        functions.openrlhf(queries, [prompts[0], "tell us"])


def test_scores_that_are_not_finite_are_never_given_as_numbers(monkeypatch: pytest.MonkeyPatch):
    ensemble = words("mean")
    bad = torch.tensor([[0.0, torch.nan]] * 3)
    monkeypatch.setattr(type(ensemble), "members", lambda *_: bad)
    functions = RewardFunctions(ensemble)
    assert functions(["a", "b"], ["x", "y"]) == [0.0, None]
    with pytest.raises(InputError, match="1 answers are NaN"):
        functions.openrlhf(["ax", "by"], ["a", "b"])
    with pytest.raises(InputError, match="1 answers are NaN"):
        functions.verl(data_source="", solution_str="y", ground_truth="")


@pytest.mark.slow
def test_completions_of_tools_and_of_parts_have_their_text():
    functions = RewardFunctions(words("mean"))
    parts = [{"role": "assistant", "content": [{"type": "text", "text": TEXTS[0]}]}]
    calls = [{"role": "assistant", "content": None}, {"role": "assistant", "content": TEXTS[1]}]
    assert functions(PROMPTS[:2], [parts, calls]) == functions(PROMPTS[:2], TEXTS[:2])


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_chats_are_the_same_however_a_trainer_words_them(base: Path, pooling: str):
    ensemble = embedded(base, pooling=pooling)
    tokenizer = fakes.tokenizer()
    asked = [{"role": "user", "content": PROMPTS[0]}]
    rendered = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    functions = RewardFunctions(ensemble, chats=True)
    (inside,) = ensemble([TEXTS[0]], [asked]).tolist()
    query = rendered + TEXTS[0] + tokenizer.eos_token
    assert float(functions.openrlhf([query], [rendered])["rewards"][0]) == pytest.approx(
        inside, abs=1e-5
    )
    given = {"question": PROMPTS[0]}
    assert functions.verl("", TEXTS[0], "", given)["score"] == pytest.approx(inside, abs=1e-5)


@pytest.mark.slow
def test_a_rendered_chat_is_scored_by_transformers_as_inside(tmp_path: Path):
    """With a template that writes something after the end, as ChatML does."""
    tokenizer = fakes.tokenizer()
    tokenizer.chat_template += "{{ ' the' }}"
    base = fakes.save(fakes.model("llama"), tmp_path / "base")
    tokenizer.save_pretrained(base)
    ensemble = embedded(base)
    export_directories(ensemble, tmp_path / "out")
    asked = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "aggregate")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out" / "aggregate")
    chats = [
        theirs.apply_chat_template([*one, {"role": "assistant", "content": text}], tokenize=False)
        for one, text in zip(asked, TEXTS, strict=True)
    ]
    batch = theirs(chats, padding=True, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    about = json.loads((tmp_path / "out" / "ensemble.json").read_text(encoding="utf-8"))
    inside = ensemble(TEXTS, asked)
    torch.testing.assert_close(logits + about["aggregate_constant"], inside, atol=1e-5, rtol=0)
