"""Served policies from the command line: parity, score, audit, and every way to be refused."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import AutoModelForCausalLM, PreTrainedModel

from explain.jobs.series import drift
from irl.config import Loading, ScoreSettings
from irl.data import read_prompts
from irl.data.bundled import BUNDLED_PAIR
from irl.errors import InputError, PolicyError, RunError
from irl.jobs.parity import ParitySettings, parity
from irl.organisms.language import train_tokenizer
from irl.policies.checkpoint import files_sha256, locate
from irl.policies.doctor import examine
from irl.policies.pair import load_pair
from irl.policies.served.load import load_served, served_sha256, server_version
from irl.policies.served.policy import ServedPolicy, served_caveats
from irl.policies.template import encode_prompt
from irl.records import AuditReport, ParityRecord
from irl.runs import read_record
from irl.tensors import TokenSequence
from tests import fakes
from tests.served import CompletionsServer
from tests.test_command_line import PROMPTS, SMALL, Done, assert_refused, irl, write_prompts

KEY = "sk-a-very-secret-key"
FEW = ("--set", "max_new_tokens=6", "--set", "answers=1", "--set", "surprise_bound_nats=9")
"Of other things than how a server draws"
TIGHT = ("--tolerance", "1e-4", *FEW)


@dataclass(frozen=True)
class Stand:
    """A pair on disk, its aligned side as a model to serve, and prompts."""

    folder: Path
    aligned: Path
    reference: Path
    prompts: Path
    model: PreTrainedModel

    def names(self, server: CompletionsServer, file: Path, **changes: Any) -> str:
        """A file about the server, quick to try again."""
        given = {
            "url": server.url,
            "model": server.name,
            "tokenizer": str(self.aligned),
            "first_wait_seconds": 0.001,
            "attempts": 20,
        }
        file.write_text(json.dumps({**given, **changes}), encoding="utf-8")
        return str(file)

    def compare(self, named: str, out: Path, *more: object) -> Done:
        asked = ("--served", named, "--local", self.aligned, "--prompts", self.prompts)
        return irl("parity", *asked, "--out", out, *(more or TIGHT))


pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:.is_gradient_checkpointing.:FutureWarning",  # peft asks by the old name
    ),
]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    folder = tmp_path_factory.mktemp("served")
    aligned, reference = fakes.save_pair(folder)
    prompts = write_prompts(folder / "prompts.jsonl", PROMPTS)
    model = AutoModelForCausalLM.from_pretrained(aligned).eval()
    return Stand(folder, aligned, reference, prompts, model)


@pytest.fixture(scope="module")
def record(stand: Stand) -> Path:
    """A parity record that has passed."""
    with CompletionsServer(stand.model) as server:
        named = stand.names(server, stand.folder / "first.yaml", dtype="float32")
        done = stand.compare(named, stand.folder / "parity.json")
    assert done.code == 0, done
    return stand.folder / "parity.json"


@pytest.fixture
def server(stand: Stand) -> Iterator[CompletionsServer]:
    with CompletionsServer(stand.model) as running:
        yield running


def test_parity_of_the_same_weights_passes_and_says_how_close(record: Path, stand: Stand):
    found = ParityRecord.model_validate_json(record.read_bytes())
    assert found.passed
    assert found.failures == ()
    assert found.tolerance_nats == 1e-4
    assert found.sequences == 2 * len(PROMPTS)
    assert found.token_nats.largest <= 1e-5
    assert found.token_nats.median <= found.token_nats.q90 <= found.token_nats.q99
    assert found.token_nats.mean.n == found.response_nats.mean.n == len(PROMPTS)
    assert found.repeated_nats <= 1e-5
    assert found.surprise_nats.low < found.surprise_nats.high
    assert (found.model, found.server_version) == ("tiny", "0.0.test")
    assert (found.served_tokens, found.served_dtype) == (64, "float32")
    assert found.local.sha256 == files_sha256(stand.aligned)
    assert all(len(one.local_nats) == len(one.response_ids) for one in found.probes)


def test_other_weights_do_not_pass_and_cannot_be_loaded(stand: Stand, tmp_path: Path):
    other = AutoModelForCausalLM.from_pretrained(stand.reference).eval()
    with CompletionsServer(other) as server:
        named = stand.names(server, tmp_path / "served.yaml", parity="parity.json")
        done = stand.compare(named, tmp_path / "parity.json")
        assert done.code == 1
        assert "Failed: a token's log-probability differs by" in done.out
        assert not ParityRecord.model_validate_json((tmp_path / "parity.json").read_bytes()).passed
        with pytest.raises(PolicyError, match=r"did not pass: a token's log-probability differs"):
            load_served(named, Loading())


@pytest.mark.parametrize(("noise", "code"), [(0.5e-4, 0), (2e-4, 1)])
def test_noise_counts_against_the_tolerance(noise: float, code: int, stand: Stand, tmp_path: Path):
    with CompletionsServer(stand.model, noise_nats=noise) as server:
        named = stand.names(server, tmp_path / "served.yaml")
        done = stand.compare(named, tmp_path / "parity.json")
    assert done.code == code, done
    found = ParityRecord.model_validate_json((tmp_path / "parity.json").read_bytes())
    assert found.token_nats.largest == pytest.approx(noise, abs=1e-5)
    assert found.token_nats.mean.value == pytest.approx(noise, abs=1e-5)


def test_a_server_whose_scores_depend_on_their_company_does_not_pass(stand: Stand, tmp_path: Path):
    """As one that reads some of a prompt from its cache: every second request is off."""
    with CompletionsServer(stand.model) as server:

        def shifted(answer: dict[str, Any]) -> dict[str, Any]:
            server.noise_nats = 0.01 if len(server.asked) > 3 * len(PROMPTS) else 0.0
            return answer

        server.distort = shifted
        named = stand.names(server, tmp_path / "served.yaml", in_flight=1, sequences_per_request=1)
        done = stand.compare(named, tmp_path / "parity.json", *FEW, "--tolerance", "0.005")
    assert done.code == 1
    assert "in other company" in done.out


@pytest.mark.parametrize(
    ("drawing", "word"), [({"top_k": 5}, "more likely"), ({"temperature": 4.0}, "less likely")]
)
def test_a_server_that_does_not_draw_from_the_policy_does_not_pass(
    drawing: dict[str, Any], word: str, stand: Stand, tmp_path: Path
):
    with CompletionsServer(stand.model, insists=drawing) as server:
        named = stand.names(server, tmp_path / "served.yaml")
        more = ("--set", "max_new_tokens=10", "--set", "answers=3")
        done = stand.compare(named, tmp_path / "parity.json", *more)
    assert done.code == 1
    assert "does not draw from the policy itself" in done.out
    assert word in done.out


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_few_tokens_pass_nobody(temperature: float, stand: Stand, tmp_path: Path):
    """Four standard errors of so few are more than most ways of drawing move a token by."""
    few = ("--set", "max_new_tokens=12", "--set", "answers=1", "--json")
    with CompletionsServer(stand.model, insists={"temperature": temperature}) as server:
        named = stand.names(server, tmp_path / "served.yaml", parity="parity.json")
        done = stand.compare(named, tmp_path / "parity.json", *few)
        assert done.code == 1
        found = ParityRecord.model_validate_json((tmp_path / "parity.json").read_bytes())
        (failure,) = found.failures
        with pytest.raises(PolicyError, match="did not pass: the "):
            load_served(named, Loading())
    drawn, needed = (int(one) for one in re.findall(r"(\d+) tokens (?:that|are)", failure))
    assert "too few to tell whether it draws from the policy itself" in failure
    assert 0 < drawn <= 12 * len(PROMPTS)
    assert found.surprise_bound_nats == 0.1
    assert found.smallest_surprise_nats >= found.surprise_nats.high - found.surprise_nats.low
    assert needed == pytest.approx(drawn * (found.smallest_surprise_nats / 0.1) ** 2, abs=1)


def test_a_way_of_drawing_that_would_not_be_told_is_in_record_and_caveat(
    record: Path, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    found = ParityRecord.model_validate_json(record.read_bytes())
    assert abs(found.surprise_nats.value) <= found.smallest_surprise_nats <= 9.0
    named = stand.names(server, tmp_path / "served.yaml", parity=str(record))
    (caveat,) = served_caveats(load_served(named, Loading()))
    assert f"less than {found.smallest_surprise_nats:.2g} nats more or less likely" in caveat.text


def test_a_wide_tolerance_does_not_widen_what_a_server_may_draw(stand: Stand, tmp_path: Path):
    more = ("--tolerance", "50", "--set", "answers=3", "--set", "max_new_tokens=10")
    with CompletionsServer(stand.model, insists={"top_k": 5}) as server:
        named = stand.names(server, tmp_path / "served.yaml")
        done = stand.compare(named, tmp_path / "parity.json", *more)
    assert done.code == 1
    assert "does not draw from the policy itself" in done.out


def test_an_adapter_is_no_checkpoint_to_compare_with(
    stand: Stand, server: CompletionsServer, tmp_path: Path
):
    """Its record would be silent about the base."""
    adapter = fakes.save_adapter(stand.reference, tmp_path / "adapter")
    named = stand.names(server, tmp_path / "served.yaml")
    settings = ParitySettings(served=named, local=str(adapter), prompts=str(stand.prompts))
    with pytest.raises(PolicyError, match=r"adapter is an adapter.*merge it"):
        parity(settings, tmp_path / "parity.json")
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "words"), [("missing/parity.json", "No such file"), ("folder", "is a folder")]
)
def test_a_record_that_cannot_be_written_is_told_before_the_work(
    name: str, words: str, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    (tmp_path / "folder").mkdir()
    named = stand.names(server, tmp_path / "served.yaml")
    settings = ParitySettings(served=named, local=str(stand.aligned), prompts=str(stand.prompts))
    with pytest.raises(RunError, match=f"cannot be written.*{words}"):
        parity(settings, tmp_path / name)
    assert server.asked == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "served.yaml"]


def test_a_record_may_lie_beside_the_tokenizer(
    stand: Stand, server: CompletionsServer, tmp_path: Path
):
    reader = without_weights(stand.aligned, tmp_path / "reader")
    reads = files_sha256(reader, weights=False)
    for name in ("parity.json", "again.json"):  # the second finds the first there
        about = {"tokenizer": "reader", "parity": f"reader/{name}"}
        named = stand.names(server, tmp_path / f"{name}.yaml", **about)
        assert stand.compare(named, reader / name).code == 0
    for name in ("parity.json", "again.json"):
        policy = load_served(str(tmp_path / f"{name}.yaml"), Loading())
        assert policy.parity is not None
        assert policy.parity.reader_sha256 == policy.reader.sha256 == reads
    (reader / "other.json").write_text(json.dumps({"schema": "another", "of": "irl.parity/1"}))
    assert files_sha256(reader, weights=False) != reads  # whatever else lies there counts


def test_the_revision_of_a_tokenizer_counts_wherever_it_is_read(
    stand: Stand, server: CompletionsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    later = Path(shutil.copytree(stand.aligned, tmp_path / "later"))
    (later / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 9]}))
    of = {None: stand.aligned, "v2": later}

    def snapshot(source: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        return str(of[revision])

    monkeypatch.setattr("irl.policies.checkpoint.snapshot_download", snapshot)
    loading = Loading(aligned_revision="v2", reference_revision="v2")
    about = {"tokenizer": "owner/name", "parity": "parity.json"}
    named = stand.names(server, tmp_path / "served.yaml", **about)
    settings = ParitySettings(
        **{"served": named, "local": "owner/name", "prompts": str(stand.prompts)},
        **{"loading": loading, "max_new_tokens": 6, "surprise_bound_nats": 9.0, "answers": 1},
    )
    found = parity(settings, tmp_path / "parity.json")
    assert found.passed
    assert found.reader_sha256 == files_sha256(later, weights=False)
    assert found.local.sha256 == files_sha256(later)
    policy = load_served(named, loading, "v2")
    assert policy.eos_ids == {2, 9}
    assert policy.checkpoint.sha256 == served_sha256(named, "v2")
    for read in (lambda: load_served(named, Loading()), lambda: served_sha256(named)):
        with pytest.raises(PolicyError, match="about other files than"):
            read()


def test_a_checkpoint_with_another_tokenizer_is_refused(
    stand: Stand, server: CompletionsServer, tmp_path: Path
):
    local = tmp_path / "local"
    fakes.model(n_pieces=290).save_pretrained(local)
    train_tokenizer(fakes.SENTENCES * 3, 290).save_pretrained(local)
    named = stand.names(server, tmp_path / "served.yaml")
    settings = ParitySettings(served=named, local=str(local), prompts=str(stand.prompts))
    with pytest.raises(PolicyError, match="tokenise differently"):
        parity(settings, tmp_path / "parity.json")


# --- loading ----------------------------------------------------------------------------------


def test_without_a_record_nothing_is_loaded_but_by_saying_so(
    stand: Stand, server: CompletionsServer, tmp_path: Path
):
    named = stand.names(server, tmp_path / "served.yaml")
    with pytest.raises(
        PolicyError, match=r"names no parity record.*irl parity --served.*unchecked"
    ):
        load_served(named, Loading())
    named = stand.names(server, tmp_path / "served.yaml", unchecked=True)
    (caveat,) = served_caveats(load_served(named, Loading()), None)
    assert caveat.code == "served-unchecked"
    named = stand.names(server, tmp_path / "served.yaml", unchecked=True, parity="parity.json")
    with pytest.raises(InputError, match="both parity and unchecked"):
        load_served(named, Loading())


def test_a_server_that_has_changed_is_noticed_at_load(record: Path, stand: Stand, tmp_path: Path):
    moved = fakes.nudged(stand.model, 0.001)
    with CompletionsServer(stand.model) as same, CompletionsServer(moved) as other:
        named = stand.names(same, tmp_path / "same.yaml", parity=str(record))
        (caveat,) = served_caveats(load_served(named, Loading()))
        assert caveat.code == "served"
        assert "nats a token" in caveat.text
        named = stand.names(other, tmp_path / "other.yaml", parity=str(record))
        with pytest.raises(PolicyError, match=r"no longer scores.*allowed are 0\.0001"):
            load_served(named, Loading())


def test_a_record_about_something_else_is_refused(record: Path, stand: Stand, tmp_path: Path):
    with CompletionsServer(stand.model, name="other") as server:
        named = stand.names(server, tmp_path / "served.yaml", parity=str(record))
        with pytest.raises(PolicyError, match="about the model tiny than"):
            load_served(named, Loading())
    with CompletionsServer(stand.model) as server:
        ends = without_weights(stand.aligned, tmp_path / "reader") / "generation_config.json"
        ends.write_text(json.dumps({"eos_token_id": [2, 9]}))
        named = stand.names(
            server, tmp_path / "served.yaml", tokenizer="reader", parity=str(record)
        )
        with pytest.raises(PolicyError, match="about other files than"):
            load_served(named, Loading())
        (tmp_path / "damaged.json").write_text(record.read_text()[:-30])
        named = stand.names(server, tmp_path / "served.yaml", parity="damaged.json")
        with pytest.raises(InputError, match=r"damaged\.json is missing, damaged"):
            load_served(named, Loading())


def without_weights(checkpoint: Path, to: Path) -> Path:
    return Path(shutil.copytree(checkpoint, to, ignore=shutil.ignore_patterns("*.safetensors")))


def test_a_model_that_the_server_does_not_list_is_refused(
    stand: Stand, server: CompletionsServer, tmp_path: Path
):
    named = stand.names(server, tmp_path / "served.yaml", model="big", unchecked=True)
    with pytest.raises(PolicyError, match="serves no model big, but: tiny"):
        load_served(named, Loading())


def test_models_that_a_server_lists_are_shown_plainly(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SERVED_KEY", KEY)

    def page(path: str) -> dict[str, Any]:
        return {"data": [{"id": "x" * 190 + KEY}, {"id": "\x1b[31m\n" + "y" * 5000}]}

    with CompletionsServer(stand.model, key=KEY) as server:
        monkeypatch.setattr(server, "page", page)
        named = stand.names(server, tmp_path / "served.yaml", unchecked=True, key_env="SERVED_KEY")
        with pytest.raises(PolicyError, match="serves no model tiny") as error:
            load_served(named, Loading())
    said = str(error.value)
    assert said.isprintable()
    assert "***" in said
    assert KEY[:5] not in said
    assert len(said) < 500


def test_the_version_of_a_server_is_kept_plainly(
    stand: Stand, server: CompletionsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    named = stand.names(server, tmp_path / "served.yaml", unchecked=True)
    policy = load_served(named, Loading())
    monkeypatch.setattr(server, "page", lambda _: {"version": "1\x1b[31m\n" + "y" * 5000})
    said = server_version(policy)
    assert said is not None
    assert said.isprintable()
    assert len(said) <= 300


def test_a_series_says_once_that_its_reference_was_served(
    record: Path, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    named = stand.names(server, tmp_path / "served.yaml", parity=str(record))
    given = {"responses_per_prompt": 2, "max_new_tokens": 4}
    report = drift(
        [stand.reference, stand.aligned],
        named,
        **{"prompts": stand.prompts, "out": tmp_path / "run", "sampling": given},
    )
    (caveat,) = (one for one in report.caveats if one.code == "served")
    assert caveat.text.startswith(f"{named} was scored by a server")


def test_a_run_depends_on_the_policy_and_not_on_its_address(
    record: Path, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    named = stand.names(server, tmp_path / "one.yaml", parity=str(record))
    moved = stand.names(
        server, tmp_path / "two.yaml", parity=str(record), url="http://elsewhere/v1", in_flight=2
    )
    unchecked = stand.names(server, tmp_path / "three.yaml", unchecked=True)
    changed = json.loads(record.read_text())
    changed["local"]["sha256"] = "0" * 64
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    other = stand.names(server, tmp_path / "four.yaml", parity="changed.json")
    assert served_sha256(named) == served_sha256(moved)
    assert served_sha256(named) == load_served(named, Loading()).checkpoint.sha256
    assert len({served_sha256(one) for one in (named, unchecked, other)}) == 3


def test_a_folder_without_weights_is_enough_to_read(
    record: Path, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    without_weights(stand.aligned, tmp_path / "reader")
    named = stand.names(server, tmp_path / "served.yaml", tokenizer="reader", parity=str(record))
    pair = load_pair(named, str(stand.reference))
    assert isinstance(pair.aligned, ServedPolicy)
    assert pair.aligned.checkpoint.n_parameters == pair.reference.checkpoint.n_parameters
    assert pair.eos_ids == {2}
    assert pair.context_tokens == 63


def test_a_served_side_stands_on_either_side_and_beside_an_adapter(
    record: Path, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    named = stand.names(server, tmp_path / "served.yaml", parity=str(record))
    assert load_pair(str(stand.reference), named).served
    adapter = fakes.save_adapter(stand.reference, tmp_path / "adapter")
    pair = load_pair(str(adapter), named)
    assert isinstance(pair.reference, ServedPolicy)
    assert not isinstance(pair.aligned, ServedPolicy)
    with pytest.raises(PolicyError, match="served policy, so its reference is not known"):
        load_pair(named)


def test_the_doctor_examines_a_served_pair(
    record: Path, stand: Stand, server: CompletionsServer, tmp_path: Path
):
    named = stand.names(server, tmp_path / "served.yaml", parity=str(record))
    checks = {check.name: check for check in examine(load_pair(named, str(stand.reference)))}
    assert checks["batch invariance"].status == "ok"
    assert "two full models" in checks["adapter"].text
    assert "served" in checks["dtype"].text


def test_where_weights_are_needed_the_file_is_refused_in_words(tmp_path: Path):
    (tmp_path / "served.yaml").write_text("url: http://localhost:1/v1\n")
    with pytest.raises(PolicyError, match=r"names a served policy, whose weights are not at hand"):
        locate(str(tmp_path / "served.yaml"))


# --- whole runs -------------------------------------------------------------------------------


def at_intervals(number: int) -> str | None:
    """Every third request of a run fails in another way."""
    return ("429", "500", "cut", "drop", "503")[number // 3 % 5] if number % 3 == 1 else None


def test_scores_from_a_shaken_server_are_those_of_the_checkpoint(
    record: Path, stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SERVED_KEY", KEY)
    with CompletionsServer(stand.model, key=KEY, fault=at_intervals) as server:
        named = stand.names(
            server, tmp_path / "served.yaml", parity=str(record), key_env="SERVED_KEY"
        )
        asked = ("--reference", stand.reference, "--prompts", stand.prompts)
        done = irl("score", "--aligned", named, *asked, "--out", tmp_path / "run", *SMALL)
    assert done.code == 0, done
    rows = pq.read_table(tmp_path / "run" / "tokens.parquet").to_pydict()
    assert len(rows["token_ids"]) == 2 * 4 * len(PROMPTS)
    local = load_pair(str(stand.aligned), str(stand.reference))
    settings = ScoreSettings.checked({"aligned": str(stand.aligned), "prompts": str(stand.prompts)})
    for prompt, ids, nats in answers_of(tmp_path / "run", local, settings):
        here = local.aligned.nats([TokenSequence(prompt, tuple(ids))])[0].numpy()
        assert np.abs(here - np.array(nats)).max() <= 1e-5
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert '"path": "served"' in log
    assert "again: status 429" in log
    assert_nowhere(KEY, tmp_path, done)


def answers_of(run: Path, pair: Any, settings: ScoreSettings) -> Iterator[tuple[Any, Any, Any]]:
    """Prompt ids, answer ids and aligned nats of every row."""
    known = {
        row.prompt_id: encode_prompt(pair.tokenizer, row.prompt)
        for row in read_prompts(str(settings.prompts)).rows
    }
    responses = pq.read_table(run / "responses.parquet").to_pylist()
    tokens = {row["response_id"]: row for row in pq.read_table(run / "tokens.parquet").to_pylist()}
    for row in responses:
        one = tokens[row["response_id"]]
        yield known[row["prompt_id"]], one["token_ids"], one["aligned_nats"]


def assert_nowhere(secret: str, folder: Path, done: Done) -> None:
    """Neither in a file nor in what was said."""
    assert secret not in done.out + done.err
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert secret.encode() not in file.read_bytes(), file


@pytest.mark.slow
def test_a_run_whose_server_dies_goes_on_where_it_stopped(
    record: Path, stand: Stand, tmp_path: Path
):
    asked = ("--reference", stand.reference, "--prompts", stand.prompts, *SMALL)
    asked = (*asked, "--set", "sampling.prompts_per_shard=1")
    with CompletionsServer(stand.model) as server:
        named = stand.names(server, tmp_path / "served.yaml", parity=str(record), attempts=3)
        whole = irl("score", "--aligned", named, *asked, "--out", tmp_path / "whole")
        n_requests = len(server.asked)
    assert whole.code == 0, whole
    with CompletionsServer(stand.model, fault=lambda n: "500" if n > 12 else None) as server:
        stand.names(server, tmp_path / "served.yaml", parity=str(record), attempts=3)
        died = irl("score", "--aligned", named, *asked, "--out", tmp_path / "run")
    assert died.code == 2
    assert "the same command goes on" in died.err
    assert "Traceback" not in died.err
    with CompletionsServer(stand.model) as server:
        stand.names(server, tmp_path / "served.yaml", parity=str(record), attempts=3)
        again = irl("score", "--aligned", named, *asked, "--out", tmp_path / "run")
        assert len(server.asked) < n_requests
    assert again.code == 0, again
    for name in ("responses.parquet", "tokens.parquet"):
        ours, theirs = (pq.read_table(tmp_path / run / name) for run in ("run", "whole"))
        assert ours.equals(theirs)


def test_a_server_that_is_not_there_is_one_sentence(record: Path, stand: Stand, tmp_path: Path):
    with CompletionsServer(stand.model) as server:
        named = stand.names(server, tmp_path / "served.yaml", parity=str(record), attempts=2)
    asked = ("--reference", stand.reference, "--prompts", stand.prompts)
    done = irl("score", "--aligned", named, *asked, "--out", tmp_path / "run")
    assert_refused(done, "gave no usable answer in 2 attempts")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("float32", 0.0, 1e-5), ("float16", 1e-4, 0.05)]
)
def test_what_half_precision_costs_on_the_bundled_pair(
    dtype: str, least: float, most: float, tmp_path: Path
):
    """docs/remote.md has the figures of 64 prompts."""
    aligned = BUNDLED_PAIR.parent / "detox" / "aligned"
    model = AutoModelForCausalLM.from_pretrained(aligned, dtype=dtype).eval()
    with CompletionsServer(model, longest=model.config.max_position_embeddings) as server:
        about = {"url": server.url, "model": "tiny", "tokenizer": str(aligned)}
        (tmp_path / "served.yaml").write_text(json.dumps(about))
        prompts = str(aligned.parent / "prompts.jsonl")
        named = {"served": str(tmp_path / "served.yaml"), "local": str(aligned), "prompts": prompts}
        few = {"prompt_limit": 12, "answers": 1, "surprise_bound_nats": 1.0}
        found = parity(ParitySettings(**named, **few), tmp_path / "parity.json")
    assert found.passed
    assert least <= found.token_nats.largest <= most


@pytest.mark.slow
def test_a_full_audit_of_a_served_policy_leaves_out_what_needs_weights(
    record: Path, stand: Stand, tmp_path: Path
):
    with CompletionsServer(stand.model, fault=at_intervals) as server:
        named = stand.names(server, tmp_path / "served.yaml", parity=str(record))
        asked = ("--reference", stand.reference, "--prompts", stand.prompts, "--full")
        done = irl("audit", "--aligned", named, *asked, "--out", tmp_path / "run", *SMALL)
    assert done.code == 0, done
    report = read_record(tmp_path / "run" / "report.json", AuditReport)
    caveats = {caveat.code: caveat.text for caveat in report.verdict.caveats}
    assert "nats a token" in caveats["served"]
    assert "low-precision" not in caveats
    for part in ("attribution", "concepts", "one-token"):
        assert "is served, so its weights" in caveats[f"not-measured-{part}"]
    assert report.explanations is not None
    assert report.explanations.attribution is None
    assert report.explanations.probes is not None
    assert report.explanations.segments is not None
    assert report.pair.aligned.dtype == "served"
    assert "served" in (tmp_path / "run" / "report.html").read_text()
