"""Who wrote what a reward was fitted to: the density of a mixture, and who is loaded."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from irl.config import Sampling
from irl.data.bundled import BUNDLED_PAIR
from irl.ensembles.pairs import Pairs
from irl.errors import InputError
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.jobs.trust_grounds import Grounds
from irl.jobs.trust_policies import Policies, load_policies, mixed
from irl.jobs.trust_settings import TrustSettings
from irl.policies.checkpoint import files_sha256
from irl.policies.pair import PolicyPair
from irl.rewards.ensemble import Ensemble
from irl.tensors import TokenSequence
from tests import fakes

EXAMPLES = BUNDLED_PAIR.parents[1] / "examples"
SEQUENCES = [TokenSequence((1, 2, 3), (4, 5)), TokenSequence((1, 7), (9, 9, 2))]


def test_a_mixture_of_one_is_itself_and_of_equals_too():
    nats = np.array([[-3.0, -700.0, -2000.0]])
    assert np.array_equal(mixed(nats), nats[0])
    assert np.allclose(mixed(np.repeat(nats, 3, axis=0)), nats[0], rtol=1e-15)


def test_a_mixture_is_the_mean_of_densities_and_never_half_as_likely_as_either():
    first, second = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    both = mixed(np.stack([first, second]))
    assert np.allclose(np.exp(both), [0.3, 0.525, 0.175])
    assert np.exp(both).sum() == pytest.approx(1)
    kl = (np.exp(first) * (first - both)).sum()
    assert 0 < kl < math.log(2)


@pytest.fixture(scope="module")
def pair() -> PolicyPair:
    reference = fakes.model()
    return PolicyPair(fakes.policy(fakes.nudged(reference)), fakes.policy(reference))


def test_the_log_probabilities_of_an_audits_data_are_those_of_both_sides(pair: PolicyPair):
    data, own = Policies.of_audit(pair).nats(SEQUENCES, Sampling())
    ours, theirs = (
        np.array([float(row.double().sum()) for row in side.nats(SEQUENCES)])
        for side in (pair.aligned, pair.reference)
    )
    assert own is not None
    assert np.allclose(own, ours, atol=1e-4)
    assert np.allclose(data, np.logaddexp(ours, theirs) - math.log(2), atol=1e-4)
    alone, none = Policies(None, (pair.reference,)).nats(SEQUENCES, Sampling())
    assert none is None
    assert np.allclose(alone, theirs, atol=1e-4)


def test_prompts_are_rendered_as_the_pair_renders_them(pair: PolicyPair):
    """By the template of the aligned policy, if it has one; ends are those of both."""
    aligned, reference = fakes.policy(fakes.model(seed=3)), fakes.policy(fakes.model())
    both = PolicyPair(aligned, reference)
    for ours, theirs in (("a", None), (None, "r"), ("a", "r"), (None, None)):
        aligned.tokenizer.chat_template, reference.tokenizer.chat_template = ours, theirs
        rendered = Policies.of_audit(both).renders.tokenizer.chat_template
        assert rendered == both.tokenizer.chat_template
        asked = Policies(aligned, (reference,)).renders.tokenizer.chat_template
        assert asked == (theirs or ours), "the data's, for what is asked is about them"
    assert Policies.of_audit(both).eos_ids == both.eos_ids


def grounds(run: Path) -> Grounds:
    """Of an ensemble that was fitted to a run; its members are not asked for."""
    nothing = Pairs([], [], [], np.zeros(0, dtype=np.int64), {})
    settings = EnsembleSettings.checked({"run": str(run)})
    ensemble = Ensemble.__new__(Ensemble)
    return Grounds(run, ensemble, settings, nothing, nothing, np.zeros((1, 0)))


def test_the_two_policies_of_the_run_wrote_the_data(tmp_path: Path):
    aligned, reference = fakes.save_pair(tmp_path)
    other = fakes.save(fakes.model(seed=5), tmp_path / "other")
    written = {"aligned": str(aligned), "reference": str(reference), "loading": {}}
    written["sampling"] = {"temperature": 1.0}
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump({"settings": written}))

    def ask(**given: str) -> Policies:
        settings = TrustSettings.checked({"reward": "r", **given})
        return load_policies(settings, grounds(run))

    about = ask(policy=str(aligned))
    assert about.policy is about.data[1]
    assert about.written_by == f"{reference} and {aligned}"
    copied = tmp_path / "copied"
    shutil.copytree(aligned, copied)
    assert ask(policy=str(copied)).policy is not None
    assert len(ask(policy=str(copied)).every) == 2, "the same weights under another name"
    another = ask(policy=str(other))
    assert another.policy is not None
    assert another.policy.checkpoint.source == str(other)
    assert [one.checkpoint.source for one in another.data] == [str(reference), str(aligned)]
    assert ask(responses="r.jsonl").policy is None
    named = ask(policy=str(aligned), reference=str(reference))
    assert [one.checkpoint.source for one in named.data] == [str(reference)]
    written["sampling"] = {"temperature": 0.7}
    (run / "config.yaml").write_text(yaml.safe_dump({"settings": written}))
    with pytest.raises(InputError, match=r"temperature 0\.7"):
        ask(policy=str(aligned))
    (run / "config.yaml").write_text(yaml.safe_dump({"settings": {"aligned_samples": "a"}}))
    with pytest.raises(InputError, match="knows samples only"):
        ask(policy=str(aligned))


def test_a_checkpoint_that_changed_in_its_place_did_not_write_the_data(tmp_path: Path):
    aligned, reference = fakes.save_pair(tmp_path)
    written = {"aligned": str(aligned), "reference": str(reference), "loading": {}}
    written["sampling"] = {"temperature": 1.0}
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump({"settings": written}))
    report = json.loads((EXAMPLES / "detox-log-ratio" / "recovery.json").read_text())
    for side, folder in (("aligned", aligned), ("reference", reference)):
        report[side]["sha256"] = files_sha256(folder)
    (run / "recovery.json").write_text(json.dumps(report))
    settings = TrustSettings.checked({"reward": "r", "policy": str(aligned)})
    assert load_policies(settings, grounds(run)).policy is not None
    fakes.save(fakes.model(seed=9), aligned)
    with pytest.raises(InputError, match="has changed since the run"):
        load_policies(settings, grounds(run))
