"""Reports and truths made by hand: only what scores and rows look at differs from the plainest."""

from collections.abc import Sequence

from irl.records import (
    Accuracy,
    AuditReport,
    Checkpoint,
    Drift,
    Estimate,
    Fit,
    Objective,
    Pair,
    PromptCondition,
    Term,
    Truth,
    TruthTerm,
    Verdict,
)


def about(value: float, n: int = 10) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1, n=n)


def objective(
    kind: str, terms: Sequence[str] = (), condition: PromptCondition | None = None
) -> Objective:
    return Objective(
        kind=kind,
        condition=condition,
        terms=list(terms),
        weight=about(1.0),
        explained_sd_nats=None,
    )


def truth(
    weights: dict[str, float] | None = None,
    *,
    condition: PromptCondition | None = None,
    per_word: float = 0.0,
    decoys: Sequence[str] = (),
    gold: tuple[float, float, float] = (0.0, 1.0, 1.0),
) -> Truth:
    """`gold` holds the mean reward before, that of the optimum, and the gain."""
    before, optimum, gain = gold
    return Truth(
        name="t",
        objective="",
        definition="",
        terms=[TruthTerm(term=term, weight=weight) for term, weight in (weights or {}).items()],
        per_word=per_word,
        condition=condition,
        decoys=list(decoys),
        trained_with="rloo",
        beta=1.0,
        seed=0,
        gold_before=about(before),
        gold_after=about(before + gain),
        gold_gain=about(gain),
        gold_optimum=optimum,
        effective_sample_size=100.0,
        kl_nats=about(0.2),
    )


def report(
    weights: dict[str, float] | None = None,
    *,
    found: bool | None = False,
    objectives: Sequence[Objective] = (),
    condition: PromptCondition | None = None,
    effect: tuple[float, float] = (0.2, 0.3),
    kl_nats: float = 0.2,
    accuracy: float | None = None,
) -> AuditReport:
    """`condition` is that of all its terms; `effect` is the verdict's R2 and sd in nats."""
    checkpoint = Checkpoint(source="", sha256="", dtype="", n_parameters=1)
    drift, one = about(kl_nats), accuracy
    return AuditReport(
        schema="irl.audit/1",
        run_id="",
        created="",
        versions={},
        settings={},
        pair=Pair(aligned=checkpoint, reference=checkpoint, trained_with="rloo"),
        verdict=Verdict(
            objective_found=found,
            p_value=None,
            explained_r2=about(effect[0]),
            explained_sd_nats=about(effect[1]),
            readability=None,
            statements=[],
            caveats=[],
        ),
        objectives=list(objectives),
        terms=[_term(term, weight, condition) for term, weight in (weights or {}).items()],
        changed=[],
        fit=Fit(membership_auc=None, r2=None, spearman_with_log_ratio=None),
        accuracy=[] if one is None else [_accuracy(one)],
        aspects=[],
        aspects_r2=None,
        aspect_residuals=[],
        drift=Drift(
            sequence_kl_nats=drift,
            token_kl_nats=drift,
            reverse_sequence_kl_nats=drift,
            reverse_token_kl_nats=drift,
            by_position=[],
            top_tokens=[],
            top_prompts=[],
        ),
        recovery=[],
        identifiability=None,
        gate=[],
        timings_seconds={},
        peak_memory_bytes=0,
    )


def _term(term: str, weight: float, condition: PromptCondition | None) -> Term:
    return Term(
        term=term,
        weight=weight,
        low=weight - 0.1,
        high=weight + 0.1,
        occurrences=9,
        condition=condition,
        token_mean_nats=None,
    )


def _accuracy(value: float) -> Accuracy:
    return Accuracy(
        scorer="recovered",
        labels="heldout_preferences.jsonl",
        preference=about(value),
        auc=None,
        spearman=None,
        ece=None,
        length_controlled=None,
    )
