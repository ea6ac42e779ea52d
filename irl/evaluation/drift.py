"""How far did the policy move? KL divergences by sampling, where, and on what.

    sequence KL          E_{y ~ aligned}[log-ratio(y)]                    nats per response
    token KL             the same sum over the number of response tokens  nats per token
    reverse              E_{y ~ reference}[-log-ratio(y)], likewise

Unbiased where the answers are complete samples at temperature 1; answers that were cut at the token
limit count up to the cut, which bounds the KL from below.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, ratio
from irl.records import Drift, Estimate, PositionKL, PromptKL, TokenMove

Array = NDArray[np.float64]
TOP = 20
MIN_OCCURRENCES = 20


def drift(
    log_ratios: Sequence[Array],
    tokens: Sequence[Sequence[str]],
    aligned: NDArray[np.bool_],
    prompts: Sequence[str],
    seed: int = 0,
) -> Drift | None:
    """All drift figures of sampled responses; None if a side has fewer than two prompts.

    Args:
        log_ratios: per response, log-ratio of each token, nats.
        tokens: per response, the text of each token.
        aligned: True where the aligned policy wrote the response.
        prompts: prompt id of each response.
        seed: of the bootstrap.
    """
    sums = np.array([row.sum() for row in log_ratios])
    sizes = np.array([float(len(row)) for row in log_ratios])
    names, number = np.unique(np.array(prompts), return_inverse=True)
    sides = [
        _kl(sign * sums[side], size[side], number[side], seed)
        for sign, side in ((1.0, aligned), (-1.0, ~aligned))
        for size in (np.ones_like(sizes), sizes)
    ]
    forward, forward_token, reverse, reverse_token = sides
    if forward is None or forward_token is None or reverse is None or reverse_token is None:
        return None
    own = [row for row, mine in zip(log_ratios, aligned, strict=True) if mine]
    return Drift(
        sequence_kl_nats=forward,
        token_kl_nats=forward_token,
        reverse_sequence_kl_nats=reverse,
        reverse_token_kl_nats=reverse_token,
        by_position=by_position(own),
        top_tokens=top_tokens(log_ratios, tokens),
        top_prompts=_top_prompts(sums[aligned], number[aligned], names.tolist()),
    )


def by_position(log_ratios: Sequence[Array]) -> list[PositionKL]:
    """Mean log-ratio at each response position, over the answers that reach it."""
    longest = max((len(row) for row in log_ratios), default=0)
    totals, counts = np.zeros(longest), np.zeros(longest, dtype=int)
    for row in log_ratios:
        totals[: len(row)] += row
        counts[: len(row)] += 1
    return [
        PositionKL(position=at, kl_nats=totals[at] / counts[at], n=int(counts[at]))
        for at in range(longest)
    ]


def top_tokens(log_ratios: Sequence[Array], tokens: Sequence[Sequence[str]]) -> list[TokenMove]:
    """Tokens whose mean log-ratio is largest in size, among those that occur often enough."""
    totals: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for row, pieces in zip(log_ratios, tokens, strict=True):
        for value, piece in zip(row.tolist(), pieces, strict=True):
            totals[piece] += value
            counts[piece] += 1
    moves = [
        TokenMove(token=piece, mean_log_ratio_nats=totals[piece] / n, n=n)
        for piece, n in counts.items()
        if n >= MIN_OCCURRENCES
    ]
    return sorted(moves, key=lambda move: -abs(move.mean_log_ratio_nats))[:TOP]


def _kl(values: Array, sizes: Array, prompts: NDArray[np.int64], seed: int) -> Estimate | None:
    if not len(values):
        return None
    clusters = np.unique(prompts, return_inverse=True)[1]
    return from_sums(np.stack([values, sizes], axis=1), clusters, ratio, seed=seed)


def _top_prompts(sums: Array, number: NDArray[np.int64], names: list[str]) -> list[PromptKL]:
    answered, codes = np.unique(number, return_inverse=True)
    means = np.bincount(codes, weights=sums) / np.bincount(codes)
    order = np.argsort(-means, kind="stable")[:TOP]
    return [PromptKL(prompt_id=names[answered[at]], kl_nats=float(means[at])) for at in order]
