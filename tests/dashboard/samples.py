"""A made-up audit on disk: every number is invented, every text that a model wrote is hostile."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from irl.records import (
    Abstention,
    Accuracy,
    AlignReport,
    AlignStep,
    Aspect,
    AspectResidual,
    AuditReport,
    BestOfNReport,
    BestPoint,
    Caveat,
    Checkpoint,
    Disagreement,
    Drift,
    EnsembleReport,
    Estimate,
    ExtrapolationReport,
    Fit,
    FittedForm,
    Identifiability,
    MethodDistance,
    NullDirection,
    Objective,
    Pair,
    PairFigures,
    PathPoint,
    PositionKL,
    PromptCondition,
    ReliabilityBin,
    Term,
    TokenMove,
    Verdict,
)
from irl.runs import RunFolder, open_run

MARK = "evil.example"
"In every hostile text, so that a test can search for it"
HOSTILE = (
    f'<img src="https://{MARK}/x" onerror="alert(1)"> [click](https://{MARK}) **b** :red[r] $x$'
)
STATEMENT = "Term counts explain 0.41 (0.35 to 0.47) of the within-prompt variance."
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).isoformat()


def estimate(value: float, half: float = 0.05, n: int = 64) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=n)


def term(text: str, weight: float, half: float = 0.5, occurrences: int = 40) -> Term:
    return Term(
        term=text,
        weight=weight,
        low=weight - half,
        high=weight + half,
        occurrences=occurrences,
        condition=None,
        token_mean_nats=weight / 3,
    )


TERMS = [
    term("stupid", -4.2, 0.6, 57),
    term("please tell me", 3.1, 0.5, 120),
    term("shut up", -3.4, 1.1, 21),
    term("idiot", -2.9, 0.8, 33),
    term("thank you", 1.9, 0.4, 88),
    term(f"<a href='https://{MARK}'>a</a>", -1.2, 0.6, 12),
    term("lovely", 0.8, 0.3, 64),
    term("hate", -0.9, 0.5, 15),
]


OBJECTIVES = [
    Objective(
        kind="term",
        condition=None,
        terms=["stupid", "shut up", HOSTILE],
        weight=estimate(-3.1, 0.3),
        explained_sd_nats=estimate(1.4, 0.1),
    ),
    Objective(
        kind="conditional",
        condition=PromptCondition(prompt_contains=HOSTILE),
        terms=["lovely"],
        weight=estimate(0.8, 0.3, 12),
        explained_sd_nats=None,
    ),
]


def aspect(name: str, weight: float | None, **more: object) -> Aspect:
    ends = {} if weight is None else {"low": weight - 0.25, "high": weight + 0.25}
    given = {"unit": "word", "status": "priced", "tied_to": [], "sd": 2.0}
    given |= {"low": None, "high": None, "drop_one_r2": estimate(0.25) if ends else None}
    given |= {"reference_rate": 0.5, "aligned_rate": 0.25}
    return Aspect.model_validate({"name": name, "weight": weight, **given, **ends, **more})


ASPECTS = [
    aspect("length", 0.5),
    aspect(HOSTILE, -1.5, unit=HOSTILE),
    aspect("as long", None, status="tied", tied_to=["length", HOSTILE]),
]
RESIDUALS = [
    AspectResidual(response_id=name, log_ratio_nats=2.5, residual_nats=-1.25)
    for name in ("p1-a0", "gone")
]


def accuracy(
    scorer: str, shift: float = 0.0, labels: str = "heldout_preferences.jsonl"
) -> Accuracy:
    return Accuracy.model_validate(
        {
            "scorer": scorer,
            "labels": labels,
            "preference": estimate(0.86 - shift, n=240),
            "auc": estimate(0.88 - shift, n=240),
            "spearman": estimate(0.61 - shift, n=240),
            "ece": None,
            "length_controlled": estimate(0.84 - shift, n=240),
        }
    )


def drift() -> Drift:
    return Drift(
        sequence_kl_nats=estimate(3.27, 0.31),
        token_kl_nats=estimate(0.1712, 0.0150),
        reverse_sequence_kl_nats=estimate(4.02, 0.44),
        reverse_token_kl_nats=estimate(0.2213, 0.0211),
        by_position=[
            PositionKL(position=at, kl_nats=0.9 / (1 + at) + 0.05 * (at % 3), n=512 - 11 * at)
            for at in range(46)
        ],
        top_tokens=[TokenMove(token=f" {HOSTILE}", mean_log_ratio_nats=-2.0, n=30)],
        top_prompts=[],
    )


def verdict() -> Verdict:
    return Verdict(
        objective_found=None,
        p_value=None,
        explained_r2=estimate(0.41),
        explained_sd_nats=estimate(1.9, 0.2),
        readability=None,
        statements=[
            STATEMENT,
            "The recovered reward puts an aligned answer above a reference answer "
            "to the same prompt with probability 0.78 (0.74 to 0.82).",
        ],
        caveats=[
            Caveat(
                code="on-distribution-only",
                text="The log-ratio speaks of answers that these policies give; it loses accuracy "
                "out of distribution (2409.03650).",
            ),
            Caveat(
                code="up-to-prompt-constant",
                text="Rewards are known up to a constant of each prompt and in units of the "
                "unknown beta; rewards of different prompts cannot be compared.",
            ),
            Caveat(code="refused-rows", text=f"3 input rows could not be used: {HOSTILE}"),
            Caveat(code="not-measured-p-value", text="No test against chance has been made."),
            Caveat(code="not-measured-ece", text="Calibration needs the scale beta."),
        ],
    )


def identifiability() -> Identifiability:
    return Identifiability(
        posterior_trace=0.25,
        posterior_logdet=-7.5,
        null_directions=[NullDirection(terms=["always", HOSTILE], share=0.0)],
        method_distances=[MethodDistance(a="log_ratio", b="samples", distance=0.123)],
    )


def audit_report(run_id: str = "audit-0123456789", *, filled: bool = True) -> AuditReport:
    """An audit with every part, or with every part that may be empty empty."""
    checkpoint = {"sha256": "0" * 64, "dtype": "float32", "n_parameters": 1_000_000}
    return AuditReport(
        schema="irl.audit/1",
        run_id=run_id,
        created=CREATED,
        versions={},
        settings={},
        pair=Pair(
            aligned=Checkpoint(source=f"models/{HOSTILE}", **checkpoint),
            reference=Checkpoint(source="artifacts/models/real-detox/reference", **checkpoint),
            trained_with="rloo",
        ),
        verdict=verdict(),
        objectives=OBJECTIVES if filled else [],
        terms=TERMS if filled else [],
        changed=[],
        fit=Fit(membership_auc=estimate(0.78), r2=estimate(0.41), spearman_with_log_ratio=None),
        accuracy=[accuracy("log_ratio"), accuracy("recovered", 0.05)] if filled else [],
        aspects=ASPECTS if filled else [],
        aspects_r2=estimate(0.72) if filled else None,
        aspect_residuals=RESIDUALS if filled else [],
        drift=drift() if filled else None,
        recovery=[],
        identifiability=identifiability() if filled else None,
        gate=[],
        timings_seconds={},
        peak_memory_bytes=0,
    )


def responses_table(n: int = 60) -> pa.Table:
    """Every third by the reference; log-ratio i, reward -i, the last reward missing."""
    texts = ["You are so kind, thank you for the help with the garden today.", HOSTILE]
    reward = [-float(at) for at in range(n)]
    if n:
        reward[-1] = None
    return pa.table(
        {
            "response_id": [f"p{at}-a0" for at in range(n)],
            "prompt_id": [f"p{at % 20}" for at in range(n)],
            "prompt": [f"What do you think, number {at}? {HOSTILE}" for at in range(n)],
            "response": [texts[at % 2] for at in range(n)],
            "source": ["reference" if at % 3 == 0 else "aligned" for at in range(n)],
            "n_tokens": pa.array([12 + at % 7 for at in range(n)], pa.int32()),
            "log_ratio_nats": [float(at) for at in range(n)],
            "reward_nats": pa.array(reward, pa.float64()),
            "reward_low_nats": pa.array(reward, pa.float64()),
            "reward_high_nats": pa.array(reward, pa.float64()),
        }
    )


def tokens_table(n: int = 60) -> pa.Table:
    """Four tokens per response; the second is paid for by one nat more at each response."""
    paid = [[0.0, float(at), -0.5, 0.0] for at in range(n)]
    gained = [[0.25, -float(at), 0.0, 0.125] for at in range(n)]
    nats = pa.list_(pa.float32())
    return pa.table(
        {
            "response_id": [f"p{at}-a0" for at in range(n)],
            "tokens": pa.array(
                [["<img", HOSTILE, "\n", "</s>"] for _ in range(n)], pa.list_(pa.string())
            ),
            "aligned_nats": pa.array([[-1.0] * 4 for _ in range(n)], nats),
            "reference_nats": pa.array([[-2.0] * 4 for _ in range(n)], nats),
            "log_ratio_nats": pa.array(gained, nats),
            "paid_for_nats": pa.array(paid, nats),
        }
    )


def write_audit(root: Path, name: str = "audit-0123456789", *, filled: bool = True) -> Path:
    """A finished audit."""
    run = _begin(root, name)
    report = audit_report(run.run_id, filled=filled)
    run.write_text("report.json", report.to_json())
    run.write_table("responses.parquet", responses_table(60 if filled else 0))
    run.write_table("tokens.parquet", tokens_table(60 if filled else 0))
    run.finish({})
    return run.path


def write_unfinished(root: Path, name: str) -> Path:
    """An audit that was interrupted before its manifest."""
    return _begin(root, name).path


def write_report(root: Path, name: str, report: object) -> Path:
    """A finished audit with this report.json alone; a string is written as it is."""
    run = _begin(root, name)
    run.write_text("report.json", report if isinstance(report, str) else json.dumps(report))
    run.finish({})
    return run.path


def _begin(root: Path, name: str) -> RunFolder:
    return open_run("audit", {"name": name}, {}, root / name)


def look(step: int, *warnings: str, gold: float | None = None) -> AlignStep:
    """What was seen of a policy in training."""
    return AlignStep(
        step=step,
        proxy=estimate(0.1 * step),
        lower=estimate(0.08 * step),
        disagreement=estimate(0.1),
        gold=None if gold is None else estimate(gold),
        kl_nats=estimate(0.2 * step),
        entropy_nats=estimate(20.0),
        length_tokens=estimate(12.0),
        reference_length_tokens=11.0,
        warnings=list(warnings),
    )


LOOKS = [look(0, gold=0.0), look(2, "members-apart", gold=0.4), look(4, gold=0.3)]


def write_course(root: Path, name: str, *, finished: bool = True) -> RunFolder:
    """A policy's training, whose reward has a hostile name."""
    run = open_run("align", {"reward": HOSTILE}, {}, root / name)
    run.write_text("steps.jsonl", "".join(one.model_dump_json() + "\n" for one in LOOKS))
    if finished:
        caveat = Caveat(code="members-apart", text=f"Step 2: members disagree. {HOSTILE}")
        report = AlignReport(
            **{"run_id": run.run_id, "reward": HOSTILE, "policy": "p", "gold": None},
            **{"method": "rloo", "beta": 0.5, "steps": 4, "stopped": False, "prompts": 9},
            **{"watched_prompts": 4, "last": LOOKS[-1], "caveats": (caveat,)},
        )
        run.write_text("align.json", report.to_json())
        run.finish({"steps": 4})
    return run


def points() -> list[PathPoint]:
    """Three policies on each of two paths."""
    return [
        PathPoint(
            path=path,
            alpha=alpha,
            reward=estimate(1 + alpha),
            gold=estimate(0.5),
            kl_nats=estimate((1 + alpha) ** 2),
            entropy_nats=estimate(20.0),
            length_tokens=estimate(12.0),
            aspects={},
        )
        for path in ("weights", "random 0")
        for alpha in (-1.0, 0.0, 1.0)
    ]


def write_path(root: Path, name: str) -> RunFolder:
    """Policies beyond the aligned one."""
    run = open_run("extrapolate", {"reward": HOSTILE}, {}, root / name)
    report = ExtrapolationReport(
        **{"run_id": run.run_id, "reward": HOSTILE, "gold": None, "prompts": 4},
        **{"reference_length_tokens": 11.0, "points": points(), "random_gain": estimate(0.01)},
    )
    run.write_text("extrapolation.json", report.to_json())
    run.finish({})
    return run


def picked(*, gold: bool = True) -> BestOfNReport:
    """A reward that picks of up to four; gold is 2 d - 1.5 d^2, d the root of the KL."""
    kl = {1: 0.0, 2: 0.25, 4: 1.0}
    return BestOfNReport(
        **{"reward": HOSTILE, "gold": HOSTILE if gold else None, "source": HOSTILE},
        **{"prompts": 9, "answers": 4, "left_out": {"refused_rows": 1}},
        points=[
            BestPoint(
                n=n,
                kl_nats=nats,
                proxy=estimate(nats**0.5),
                gold=estimate(2 * nats**0.5 - 1.5 * nats) if gold else None,
            )
            for n, nats in kl.items()
        ],
        form=FittedForm(
            alpha=estimate(2.0), beta=estimate(1.5), peak_kl_nats=estimate(0.44), r2=0.9
        )
        if gold
        else None,
        caveats=(Caveat(code="too-few-answers", text=f"Best of 8 is left out. {HOSTILE}"),),
    )


def write_picked(root: Path, name: str) -> RunFolder:
    """What a reward picks of n."""
    run = open_run("best-of-n", {"reward": HOSTILE}, {}, root / name)
    run.write_text("best_of_n.json", picked().to_json())
    run.finish({})
    return run


def write_ensemble(root: Path, name: str) -> RunFolder:
    """A reward ensemble on held-out pairs."""
    run = open_run("ensemble", {"base": HOSTILE}, {}, root / name)
    report = EnsembleReport(
        **{"run_id": run.run_id, "reward": HOSTILE, "members": 3, "diversity": "bootstrap"},
        **{"loss": "bradley-terry", "aggregation": "mean", "training_pairs": 90},
        **{"held_out_pairs": 30, "held_out_prompts": 20, "input": {}},
        figures=[
            PairFigures(scorer="members", accuracy=estimate(0.7), ties=0, **UNTOLD),
            PairFigures(
                **{"scorer": "mean", "accuracy": estimate(0.8), "ties": 1},
                **{"brier": estimate(0.2), "ece": estimate(0.1), "reliability": BINS},
            ),
        ],
        disagreement=Disagreement(
            mean_sd=estimate(0.3), auc_of_errors=estimate(0.55), auc_of_small_margins=None
        ),
        abstention=[
            Abstention(
                **{"confidence": 0.9, "covered": estimate(0.91), "answered": estimate(0.6)},
                accuracy_answered=estimate(0.9),
            )
        ],
    )
    run.write_text("ensemble.json", report.to_json())
    run.finish({})
    return run


UNTOLD = {"brier": None, "ece": None, "reliability": []}
BINS = [
    ReliabilityBin(probability=0.6, share_right=0.55, n=20),
    ReliabilityBin(probability=0.9, share_right=0.7, n=10),
]
