"""The schema of report.json: stable, complete and closed."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from irl.records import AuditReport, Estimate, Term

GOLDEN = Path(__file__).parents[1] / "golden" / "audit.schema.json"
"Made by the command in golden/README.md"
KEYS = {
    "": "schema run_id created versions settings pair verdict objectives terms changed fit "
    "accuracy aspects aspects_r2 aspect_residuals drift recovery identifiability contexts "
    "explanations contraction truth gate timings_seconds peak_memory_bytes",
    "Estimate": "value low high n",
    "Pair": "aligned reference trained_with",
    "Checkpoint": "source sha256 dtype n_parameters",
    "Verdict": "objective_found p_value explained_r2 explained_sd_nats readability statements "
    "caveats",
    "Caveat": "code text",
    "Objective": "kind condition terms weight explained_sd_nats",
    "PromptCondition": "prompt_contains prompt_type",
    "Term": "term weight low high occurrences condition token_mean_nats",
    "ChangedTerm": "term reference_rate aligned_rate",
    "Fit": "membership_auc r2 spearman_with_log_ratio",
    "Accuracy": "scorer labels preference auc spearman ece length_controlled",
    "Aspect": "name unit status tied_to weight low high sd drop_one_r2 reference_rate aligned_rate",
    "AspectResidual": "response_id log_ratio_nats residual_nats",
    "Drift": "sequence_kl_nats token_kl_nats reverse_sequence_kl_nats reverse_token_kl_nats "
    "by_position top_tokens top_prompts",
    "PositionKL": "position kl_nats n",
    "TokenMove": "token mean_log_ratio_nats n",
    "PromptKL": "prompt_id kl_nats",
    "Recovery": "method seeds heldout_accuracy auc spearman_with_log_ratio mean sd min max "
    "sign_flip_share status",
    "Identifiability": "posterior_trace posterior_logdet null_directions method_distances",
    "NullDirection": "terms share",
    "MethodDistance": "a b distance",
    "Contraction": "prompts parts weights trace trace_low trace_high log_det coin_trace covered "
    "truth_covered",
    "TruthAgreement": "scorer pearson spearman slope",
    "GateRow": "path on limit value passed",
}
"Section 6 of the design, record by record"


def schema() -> dict[str, Any]:
    return AuditReport.model_json_schema(mode="serialization")


def test_the_schema_is_the_golden_one():
    """A change of the schema is a change of the contract: say so, and make the file again."""
    assert schema() == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_golden_file_says_which_command_made_it():
    assert "irl runs schema" in (GOLDEN.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("record", KEYS)
def test_every_key_of_the_contract_is_there_and_no_other(record: str):
    found = schema()["$defs"][record] if record else schema()
    assert sorted(found["properties"]) == sorted(KEYS[record].split())


@pytest.mark.parametrize("record", KEYS)
def test_unknown_keys_are_refused_everywhere(record: str):
    found = schema()["$defs"][record] if record else schema()
    assert found["additionalProperties"] is False


@pytest.mark.parametrize("record", sorted(set(KEYS) - {"PromptCondition", ""}))
def test_every_key_is_always_there(record: str):
    """null where it was not measured, but never absent."""
    assert sorted(schema()["$defs"][record]["required"]) == sorted(KEYS[record].split())


def test_every_key_of_the_report_is_always_there():
    assert sorted(schema()["required"]) == sorted(KEYS[""].split())
    assert schema()["properties"]["schema"]["const"] == "irl.audit/1"


@pytest.mark.parametrize(
    "path",
    [
        "Verdict.objective_found",
        "Verdict.p_value",
        "Verdict.explained_r2",
        "Verdict.explained_sd_nats",
        "Verdict.readability",
        "Fit.membership_auc",
        "Fit.r2",
        "Fit.spearman_with_log_ratio",
        "Accuracy.ece",
        "Recovery.heldout_accuracy",
        "Identifiability.posterior_trace",
        "Term.condition",
        "Term.token_mean_nats",
        ".drift",
        ".identifiability",
        ".aspects_r2",
        "Aspect.weight",
        "Aspect.low",
        "Aspect.high",
        "Aspect.drop_one_r2",
    ],
)
def test_what_may_be_unmeasured_may_be_null(path: str):
    record, key = path.split(".")
    found = schema()["$defs"][record] if record else schema()
    assert {"type": "null"} in found["properties"][key]["anyOf"]


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValidationError, match="extra"):
        Estimate.model_validate({"value": 1, "low": 0, "high": 2, "n": 3, "sd": 1})


def test_an_absent_key_is_an_error():
    with pytest.raises(ValidationError, match="condition"):
        Term.model_validate(
            {"term": "a", "weight": 1, "low": 0, "high": 2, "occurrences": 3, "token_mean_nats": 0}
        )


def test_results_cannot_be_changed():
    estimate = Estimate(value=1, low=0, high=2, n=3)
    with pytest.raises(ValidationError):
        estimate.value = 2.0
