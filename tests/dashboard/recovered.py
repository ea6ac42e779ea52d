"""Made-up rewards of one pair by other methods, and what is known of an organism."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from irl.records import (
    Caveat,
    Checkpoint,
    Contraction,
    Fit,
    Recovery,
    RecoveryReport,
    SeedFit,
    TruthAgreement,
    WordsVerdict,
)
from irl.runs import RunFolder, open_run
from tests.dashboard.samples import HOSTILE, accuracy, audit_report, estimate, responses_table

PAIR = audit_report().pair


def checkpoint(sha256: str) -> Checkpoint:
    return Checkpoint(source=HOSTILE, sha256=sha256, dtype="float32", n_parameters=9)


def recovery(method: str = "bradley-terry", value: float = 0.8) -> Recovery:
    return Recovery(
        **{"method": method, "seeds": 3, "status": f"fitted; {HOSTILE}"},
        **{"heldout_accuracy": estimate(value), "auc": estimate(0.6)},
        **{"spearman_with_log_ratio": None, "mean": value, "sd": 0.02},
        **{"min": value - 0.02, "max": value + 0.02, "sign_flip_share": 0.0},
    )


def seeds(value: float = 0.8) -> list[SeedFit]:
    return [
        SeedFit(
            **{"seed": at, "heldout_accuracy": estimate(value + 0.02 * (at - 1))},
            **{"membership_auc": estimate(0.6), "spearman_with_log_ratio": None},
            **{"agreement": 0.9, "chosen": at == 1},
        )
        for at in range(3)
    ]


def truth(spearman: float = 0.9) -> list[TruthAgreement]:
    return [
        TruthAgreement(
            **{"scorer": scorer, "pearson": estimate(0.8), "slope": estimate(0.7)},
            spearman=estimate(spearman),
        )
        for scorer in ("log_ratio", "recovered")
    ]


def contraction() -> list[Contraction]:
    """Four weights; the prior, then four numbers of prompts."""
    made = [(0, 1), (40, 8), (80, 4), (160, 2), (320, 1)]
    return [
        Contraction(
            **{"prompts": n, "parts": parts, "weights": 4, "log_det": -1.0},
            **{"trace": (trace := 320 / max(n, 20)), "coin_trace": trace / 2},
            **{"trace_low": trace - 0.1, "trace_high": trace + 0.1},
            covered=estimate(0.9) if parts > 1 else None,
            truth_covered=estimate(0.7) if n else None,
        )
        for n, parts in made
    ]


def report(method: str = "bradley-terry", value: float = 0.8, **more: Any) -> RecoveryReport:
    """Of the pair that `samples.audit_report` is of."""
    words = WordsVerdict(
        **{"objective": True, "terms": ["kind", HOSTILE]},
        **{"r2": estimate(0.4), "sd_nats": estimate(1.0), "p_value": 0.01},
    )
    given = {"by_seed": seeds(value), "recovery": recovery(method, value), "words": words}
    given |= {"aligned": checkpoint(PAIR.aligned.sha256)} | more
    return RecoveryReport(
        run_id="recover-1",
        reward=HOSTILE,
        fit=Fit(membership_auc=estimate(0.6), r2=estimate(0.4), spearman_with_log_ratio=None),
        accuracy=[accuracy("log_ratio"), accuracy("recovered", 0.05)],
        caveats=(Caveat(code="c", text=f"Not all is well: {HOSTILE}"),),
        reference=checkpoint(PAIR.reference.sha256),
        **given,
    )


def write_recovery(
    root: Path, name: str, made: RecoveryReport | str | None, *, answers: bool = False
) -> RunFolder:
    """A finished run of `irl recover`; the report may be damaged, or missing."""
    run = open_run("recover", {"method": name, "aligned": HOSTILE}, {}, root / name)
    if made is not None:
        text = made if isinstance(made, str) else made.to_json()
        run.write_text("recovery.json", text)
    if answers:
        run.write_table("responses.parquet", without_rewards(responses_table()))
    run.finish({})
    return run


def without_rewards(table: pa.Table) -> pa.Table:
    """As heads leave it: they were fitted to most of the answers."""
    for name in ("reward_nats", "reward_low_nats", "reward_high_nats"):
        nothing = pa.nulls(table.num_rows, pa.float64())
        table = table.set_column(table.column_names.index(name), name, nothing)
    return table


def with_truth(table: pa.Table) -> pa.Table:
    """Prompts of two types, and a true reward of half the log-ratio."""
    n = table.num_rows
    true = 0.5 * np.array(table["log_ratio_nats"].to_pylist())
    kinds = [f"{HOSTILE} {int(name[1:]) % 2}" for name in table["prompt_id"].to_pylist()]
    assert len(kinds) == n
    return table.append_column("prompt_type", [kinds]).append_column("true_nats", [true])
