"""The pair that comes with the repository is what its card says."""

import json
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from explain.jobs.audit import run_audit
from irl.config import AuditSettings
from irl.data import read_preferences, read_prompts
from irl.data.bundled import BUNDLED_PAIR, bundled_pair
from irl.policies.pair import load_pair
from irl.records import Truth
from irl.rewards.terms import TermReward, words

ROOT = Path(__file__).parents[1]
TRACKED_BYTES = 20_000_000


def test_what_is_tracked_of_models_and_examples_stays_small() -> None:
    """Organisms that were built beside them do not count."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "artifacts"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    kept = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert kept
    assert sum(path.lstat().st_size for path in kept) < TRACKED_BYTES


def test_prompts_and_pairs_are_many_and_all_usable() -> None:
    prompts = read_prompts(BUNDLED_PAIR / "prompts.jsonl")
    pairs = read_preferences(BUNDLED_PAIR / "heldout_preferences.jsonl")
    assert len(prompts.rows) >= 300
    assert len({row.pair_id for row in pairs.rows}) >= 200
    assert not prompts.refused
    assert not pairs.refused


def test_pairs_hold_negations_and_quoted_insults() -> None:
    lines = (BUNDLED_PAIR / "heldout_preferences.jsonl").read_text(encoding="utf-8").splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert min(kinds.count("negation"), kinds.count("quoted"), kinds.count("mild")) >= 30


def test_the_pair_is_stored_in_float16_and_read_in_float32() -> None:
    pair = load_pair(str(BUNDLED_PAIR / "aligned"), str(BUNDLED_PAIR / "reference"))
    assert not pair.identical()
    for side in (pair.aligned, pair.reference):
        assert 2_000_000 <= side.checkpoint.n_parameters <= 3_000_000
        assert side.checkpoint.dtype == "float32"
        assert all(torch.equal(w, w.half().float()) for w in side.model.parameters())


def test_alignment_raised_the_true_reward_without_passing_the_exact_optimum_by_chance() -> None:
    truth = Truth.model_validate_json((BUNDLED_PAIR / "truth.json").read_bytes())
    assert truth.gold_before.high < truth.gold_after.low
    assert truth.gold_after.value <= 0
    assert truth.kl_nats.low > 0


@pytest.mark.slow
def test_an_audit_of_a_part_of_the_prompts_charges_what_the_classifier_calls_rude(
    tmp_path: Path,
) -> None:
    settings = AuditSettings.model_validate({**bundled_pair(), "prompt_limit": 160})

    report = run_audit(settings, tmp_path / "run").report

    toxicity = TermReward.load(BUNDLED_PAIR, "classifier").by_term
    charged = [term for term in report.terms if term.weight < 0][:8]
    rude = [t for t in charged if max(toxicity.get(word, 0.0) for word in words(t.term)) > 1.0]
    assert len(charged) >= 5
    assert len(rude) >= len(charged) - 1
    own = {row.scorer: row for row in report.accuracy}
    assert own["log_ratio"].auc is not None
    assert own["log_ratio"].auc.low > 0.5
    assert report.fit.membership_auc is not None
    assert report.fit.membership_auc.low > 0.5
    assert report.drift is not None
    assert report.drift.sequence_kl_nats.low > 0
    agreed = {one.scorer: one for one in report.truth or ()}
    for scorer in ("log_ratio", "recovered"):
        pearson, slope = agreed[scorer].pearson, agreed[scorer].slope
        assert pearson is not None
        assert slope is not None
        assert pearson.low > 0.5
        assert 0 < slope.low < slope.high < 1.2
    assert report.identifiability is not None
    assert report.contraction is not None
    assert [one.prompts for one in report.contraction] == [0, 20, 40, 80, 160]
    assert report.contraction[-1].trace == report.identifiability.posterior_trace
    assert all(one.truth_covered is None for one in report.contraction), "its truth is bent"
    told = pq.read_table(tmp_path / "run" / "responses.parquet")
    assert told["true_nats"].null_count == 0
