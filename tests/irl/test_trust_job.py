"""`irl trust`: what it measures of policies that are known, what it keeps, and how it says no."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import AutoModelForCausalLM

from irl.data.bundled import BUNDLED_PAIR
from irl.ensembles.pairs import Pairs
from irl.errors import InputError
from irl.evaluation.trust_words import trust_summary
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.trust import TrustRun, trust
from irl.jobs.trust_grounds import Answered, grounds_of
from irl.jobs.trust_policies import policy_sha256
from irl.jobs.trust_settings import TrustSettings
from irl.organisms.answers_of_world import REFERENCE, answers_to, judged_prompts, labelled_pairs
from irl.policies.checkpoint import files_sha256
from irl.rewards.terms import TermReward
from tests import fakes
from tests.irl.test_ensemble_job import write as write_pairs
from tests.served import CompletionsServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing.:FutureWarning",  # peft asks by the old name
)

ALIGNED = BUNDLED_PAIR.parent / "detox" / "aligned"
RECOVERED = BUNDLED_PAIR.parents[1] / "examples" / "detox-log-ratio"
LEARNING = {"seeds": (0, 1, 2), "epochs": 40, "learning_rate": 0.01}


def write(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


@dataclass(frozen=True)
class Place:
    """An ensemble on answers of the world's reference, and prompts that it never saw."""

    folder: Path
    reward: str
    prompts: str

    def ask(self, name: str, **given: Any) -> TrustRun:
        small = {"answers": 4, "max_new_tokens": 36, "prompts": self.prompts}
        return trust(reward=self.reward, out=self.folder / name, **small, **given)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("trust")
    pairs = write(folder / "pairs.jsonl", labelled_pairs(0, "manners", 160, draw=3))
    named = {"preferences": pairs, "features": "embeddings", "base": str(REFERENCE)}
    run = fit_ensemble(out=folder / "ensemble", confidences=(), learning=LEARNING, **named).run
    return Place(folder, str(run.path), write(folder / "prompts.jsonl", judged_prompts(0, 24)))


@pytest.fixture(scope="module")
def itself(place: Place) -> TrustRun:
    """The data's own policy as the one that is asked about."""
    return place.ask("itself", policy=str(REFERENCE))


@pytest.mark.slow
def test_the_datas_own_policy_is_at_no_distance_and_uses_every_answer(itself: TrustRun):
    of = itself.report.measures
    assert of.kl_nats is not None
    assert of.effective_share is not None
    assert of.beyond is not None
    assert of.reward_gain is not None
    assert (of.kl_nats.value, of.kl_nats.high) == (0, 0)
    assert of.effective_share.value == 1
    assert of.effective_answers == itself.report.fitted_answers
    assert of.beyond.low < 0.1
    assert abs(of.reward_gain.value) < 0.7, "five standard errors of 96 answers"
    colours = {one.name: one.colour for one in itself.report.signals}
    assert (colours["kl"], colours["effective-sample-size"]) == ("green", "green")
    assert [one.name for one in itself.report.signals][:2] == ["kl", "effective-sample-size"]
    assert itself.report.lamp.colour != "red"


@pytest.mark.slow
def test_it_tells_prompts_apart_by_their_type_and_sorts_every_response(itself: TrustRun):
    report = itself.report
    assert {one.group for one in report.groups} == {"question", "opinion", "request", "chat"}
    assert sum(one.measures.responses for one in report.groups) == report.measures.responses == 96
    assert sum(one.responses for one in report.triage) == 96
    table = pq.read_table(itself.run.path / "triage.parquet").to_pylist()
    assert len({row["response_id"] for row in table}) == 96
    names = [one.category for one in report.triage]
    assert names == ["out-of-distribution", "locally-wrong", "boundary", "settled"]
    for one in report.triage:
        assert sum(row["category"] == one.category for row in table) == one.responses
    for row in table:
        assert 0 <= row["local_error_low"] <= row["local_error"] <= row["local_error_high"] <= 1
        assert row["margin"] == pytest.approx(abs(2 * row["probability"] - 1))
        assert row["neighbour_distances"] == sorted(row["neighbour_distances"])
        assert row["policy_nats"] == row["data_nats"]
        assert len(row["neighbour_ids"]) == len(row["neighbour_texts"]) == 3


@pytest.mark.slow
def test_neighbours_are_held_out_answers_by_their_number(itself: TrustRun, place: Place):
    held = grounds_of(place.reward).held
    table = pq.read_table(itself.run.path / "triage.parquet").to_pylist()
    for row in table[:20]:
        for name, text in zip(row["neighbour_ids"], row["neighbour_texts"], strict=True):
            assert held.texts[int(name.removeprefix("held-out-"))] == text


@pytest.mark.slow
def test_every_run_prints_how_well_its_detectors_do(itself: TrustRun):
    found = {one.name: one for one in itself.report.detectors}
    assert set(found) == {"distance", "boundary", "local error"}
    assert found["distance"].auc is not None
    assert found["distance"].auc.value > 0.8
    assert all((one.auc is None) == (one.reason is not None) for one in found.values())
    said = trust_summary(itself.report)
    assert said.index("KL ") < said.index("epistemic")
    assert "Detectors on what was planted" in said


@pytest.mark.slow
def test_a_finished_run_is_given_back(itself: TrustRun):
    again = trust(TrustSettings.checked(itself.run.settings), itself.run.path)
    assert again.was_finished
    assert again.report == itself.report


@pytest.mark.slow
def test_another_policy_is_at_a_distance_and_responses_of_nobody_are_never_green(place: Place):
    other = place.ask("other", policy=str(ALIGNED)).report.measures
    assert other.kl_nats is not None
    assert other.kl_nats.low > 0
    assert other.effective_share is not None
    assert other.effective_share.high < 1
    asked = [row["prompt"] for row in judged_prompts(0, 24)]
    texts = answers_to(asked, 4, 5)
    rows = [{"prompt": asked[at // 4], "response": text} for at, text in enumerate(texts)]
    file = write(place.folder / "responses.jsonl", rows)
    unknown = place.ask("unknown", responses=file).report
    assert unknown.measures.kl_nats is None
    assert unknown.measures.effective_share is None
    assert unknown.lamp.colour != "green"
    assert "policy-unknown" in {one.code for one in unknown.caveats}
    assert {one.group for one in unknown.groups} == {"question", "opinion", "request", "chat"}


@pytest.mark.slow
def test_a_policy_that_is_served_may_be_asked_about(place: Place, tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(ALIGNED).eval()
    with CompletionsServer(model, longest=256) as server:
        about = {"url": server.url, "model": "tiny", "tokenizer": str(ALIGNED), "unchecked": True}
        write(tmp_path / "served.yaml", [about])
        small = {"answers": 2, "max_new_tokens": 4, "prompts": place.prompts}
        named = {"policy": str(tmp_path / "served.yaml"), "reward": place.reward}
        report = trust(out=tmp_path / "run", **small, **named).report
    assert report.measures.responses == 48
    table = pq.read_table(tmp_path / "run" / "triage.parquet").to_pydict()
    assert max(table["policy_nats"]) < 0
    assert table["policy_nats"] != table["data_nats"]
    assert "served-unchecked" in {caveat.code for caveat in report.caveats}


def test_a_run_depends_on_an_adapter_and_on_its_base(tmp_path: Path):
    _, base = fakes.save_pair(tmp_path)
    adapter = fakes.save_adapter(base, tmp_path / "adapter")
    assert policy_sha256(str(adapter)) == files_sha256(adapter, base)
    assert policy_sha256(str(base)) == files_sha256(base)


@pytest.mark.slow
def test_kl_is_not_known_where_another_policy_wrote_the_data(tmp_path: Path):
    """A random model never wrote these pairs, whatever the user says."""
    reference = str(fakes.save(fakes.model(), tmp_path / "reference"))
    given = {"preferences": write_pairs(tmp_path), "form": "linear", "learning": LEARNING}
    fit_ensemble(out=tmp_path / "ensemble", confidences=(), **given)
    asked = {"reward": str(tmp_path / "ensemble"), "policy": reference}
    with pytest.raises(InputError, match="give --reference"):
        trust(out=tmp_path / "no", **{**asked, "policy": reference})
    report = trust(
        out=tmp_path / "run", reference=reference, answers=2, max_new_tokens=8, **asked
    ).report
    assert report.measures.kl_nats is None
    assert "data-from-elsewhere" in {one.code for one in report.caveats}
    assert report.lamp.colour != "green"


@pytest.mark.slow
def test_data_that_changed_or_went_are_refused_in_a_sentence(tmp_path: Path):
    file = Path(write_pairs(tmp_path))
    given = {"preferences": str(file), "form": "linear", "learning": LEARNING}
    fit_ensemble(out=tmp_path / "ensemble", confidences=(), **given)
    found = grounds_of(str(tmp_path / "ensemble"))
    assert len(found.training) + len(found.held_out) == 120
    assert set(found.training.prompts).isdisjoint(found.held_out.prompts)
    assert found.scale > 0
    file.write_text(file.read_text(encoding="utf-8").replace("lovely", "fine"), encoding="utf-8")
    with pytest.raises(InputError, match="have changed since it was fitted"):
        grounds_of(str(tmp_path / "ensemble"))
    file.unlink()
    with pytest.raises(InputError, match="not at hand"):
        grounds_of(str(tmp_path / "ensemble"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_an_adapter_is_asked_about_like_any_policy(tmp_path: Path):
    """Its files name the run; nothing of the answers is looked at here."""
    reference = fakes.save(fakes.model(), tmp_path / "reference")
    adapter = fakes.save_adapter(reference, tmp_path / "adapter")
    given = {"preferences": write_pairs(tmp_path), "form": "linear", "learning": LEARNING}
    fit_ensemble(out=tmp_path / "ensemble", confidences=(), **given)
    report = trust(
        out=tmp_path / "run",
        reward=str(tmp_path / "ensemble"),
        policy=str(adapter),
        reference=str(reference),
        answers=2,
        max_new_tokens=4,
        most_answers=50,
    ).report
    assert report.source == str(adapter)
    assert report.data_policy == str(reference)


def test_other_rewards_are_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(InputError, match=r"run of irl recover.*irl ensemble --run"):
        grounds_of(str(RECOVERED))
    TermReward(("good",), (1.0,)).save(tmp_path / "gold", "terms")
    with pytest.raises(InputError, match="without the data"):
        grounds_of(str(tmp_path / "gold"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"policy": "p"}, "give --reward"),
        ({"reward": "r"}, "give --responses, or --policy"),
        ({"reward": "r", "policy": "p", "answers": 1}, "answers"),
    ],
)
def test_settings_that_ask_nothing_are_refused(given: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        TrustSettings.checked(given)


def test_the_same_answer_of_several_pairs_is_one():
    pairs = Pairs(["a", "a", "a"], ["b", "c", "b"], ["x", "x", "y"], np.array([0, 0, 1]), {})
    found = Answered.of(pairs)
    assert found.texts == ["a", "a", "b", "c", "b"]
    assert found.chosen.tolist() == [0, 0, 1]
    assert found.rejected.tolist() == [2, 3, 4]
    assert found.pair_of.tolist() == [0, 2, 0, 1, 2]
