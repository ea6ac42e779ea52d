"""The job `irl best-of-n`: what a reward gains when it picks among answers, and where that ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import crossed_mean
from irl.data import SampleRow, Table, read_samples
from irl.errors import InputError
from irl.jobs.named_reward import NamedReward, named_reward, reward_sha256
from irl.policies.quiet import quiet_libraries
from irl.records import BestOfNReport, BestPoint, Caveat, FittedForm
from irl.rlhf.best_of_n import PUBLISHED_N, best_of_n, kl_nats
from irl.rlhf.over_optimisation import fit_form
from irl.runs import open_run, read_record

Array = NDArray[np.float64]
REPORT: Final = "best_of_n.json"
_LEAST = 0.25
"Prompts with fewer answers than this quantile of them have are left out"
_FEWER = "Best of {} is left out: some of the prompts that count have only {} answers."


def best_of_n_curves(
    reward: str,
    answers: str,
    gold: str | None = None,
    ns: Sequence[int] = PUBLISHED_N,
    *,
    out: str | Path | None = None,
    fresh: bool = False,
) -> BestOfNReport:
    """Proxy and gold of the answer that a reward picks of n.

    Args:
        reward: the proxy that picks: a run that stored a reward, or a reward model's directory.
        answers: samples of one policy, many to a prompt.
        gold: what the picked answers are worth; named like `reward`.
        ns: how many answers are picked from; 1 is always there.
        out: a run folder that keeps the report, where the dashboard finds it; a finished one is
            read. None keeps nothing.
        fresh: repeat a finished run.

    Raises:
        InputError: the answers or rewards cannot be used.
        PolicyError: a model cannot be loaded.
        RunError: there is no such run, or the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    ns = sorted({1, *ns})
    if ns[0] < 1:
        raise InputError(f"Best of {ns[0]} is nothing; n is at least 1.")
    table = read_samples(answers)
    if out is None:
        return _curves(table, reward, gold, ns)
    named = {"reward": reward} | ({} if gold is None else {"gold": gold})
    inputs = {role: reward_sha256(source) for role, source in named.items()}
    settings = {"reward": reward, "answers": answers, "gold": gold, "n": list(ns)}
    inputs["answers"] = table.sha256
    run = open_run("best-of-n", settings, inputs, Path(out), fresh=fresh)
    if run.finished:
        return read_record(run.path / REPORT, BestOfNReport)
    report = _curves(table, reward, gold, ns)
    run.write_text(REPORT, report.to_json())
    run.finish({"prompts": report.prompts})
    return report


def _curves(
    table: Table[SampleRow], reward: str, gold: str | None, ns: Sequence[int]
) -> BestOfNReport:
    proxy = _scores(named_reward(reward), table.rows)
    values = proxy if gold is None else _scores(named_reward(gold), table.rows)
    finite = np.isfinite(proxy) & np.isfinite(values)
    every = _by_prompt(table.rows, finite)
    sizes = [len(at) for at in every]
    few = int(np.quantile(sizes, _LEAST, method="lower")) if sizes else 0
    if few < 2:
        raise InputError(
            f"Most prompts of {table.source} must have two answers or more with finite scores."
        )
    groups = [at for at in every if len(at) >= few]
    kept = [n for n in ns if n <= few]
    gains = [_gains(proxy, scores, groups, kept) for scores in (proxy, values)]
    known = gold is not None
    return BestOfNReport(
        reward=reward,
        gold=gold,
        source=table.source,
        prompts=len(groups),
        answers=few,
        points=[
            BestPoint(
                n=n,
                kl_nats=kl_nats(n),
                proxy=crossed_mean(gains[0][:, at]),
                gold=crossed_mean(gains[1][:, at]) if known else None,
            )
            for at, n in enumerate(kept)
        ],
        form=_form(gains[1], kept) if known else None,
        left_out={
            "refused_rows": len(table.refused),
            "scored_not_finite": int((~finite).sum()),
            "at_prompts_with_too_few": int(finite.sum()) - sum(map(len, groups)),
        },
        caveats=tuple(
            Caveat(code="too-few-answers", text=_FEWER.format(n, few)) for n in ns if n > few
        ),
    )


def _scores(reward: NamedReward, rows: Sequence[SampleRow]) -> Array:
    return reward([row.response for row in rows], [row.prompt for row in rows])


def _by_prompt(rows: Sequence[SampleRow], which: NDArray[np.bool_]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        if which[at]:
            groups.setdefault(row.prompt_id, []).append(at)
    return list(groups.values())


def _gains(
    proxy: Array, scores: Array, groups: Sequence[Sequence[int]], ns: Sequence[int]
) -> Array:
    """What the picked answer scores more than one picked blindly, [prompt, n]."""
    picked = [best_of_n(proxy[list(at)], scores[list(at)], ns) for at in groups]
    each = np.stack(picked)
    return each - each[:, :1]


def _form(gains: Array, ns: Sequence[int]) -> FittedForm | None:
    if len(ns) < 3 or len(gains) < 2:
        return None
    found = fit_form(gains, np.array([kl_nats(n) for n in ns]))
    if not np.isfinite(found.r2):  # nothing that is picked is worth more than anything else
        return None
    return FittedForm(
        alpha=found.alpha, beta=found.beta, peak_kl_nats=found.peak_kl_nats, r2=found.r2
    )
