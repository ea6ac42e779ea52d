"""Whether an attribution says what the target does: measured by removing what it points at.

Segments are ordered by their values with the sign of f(x) - f(nothing), so "the top" is what speaks
for the value that the exchange has. All measures are shares of f(x) - f(nothing), where nothing is
the exchange without any segment, and stand beside the mean over random orders: an attribution that
does no better than chance explains nothing.

- comprehensiveness (DeYoung et al. 2020, 1911.03429): lost when the top 10, 20 and 50 % are taken
  out, averaged; higher is better.
- sufficiency: lost when only these are kept; lower is better.
- deletion and insertion curves (Petsiuk et al. 2018, 1806.07421): what is left while segments go,
  top first, and what is there while they come; by their areas, lower and higher is better.

A response without some of its words is often one that nobody writes: all of these ask the target
about such texts, and share that weakness with ablation, which they favour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from explain.attribution.record import Attribution
from explain.segments import without
from explain.targets import Exchange, Target, remembered

Array = NDArray[np.float64]
SHARES = (0.1, 0.2, 0.5)
RANDOM_ORDERS = 8


@dataclass(frozen=True)
class Removals:
    """The four measures for one order of the segments, as shares of f(x) - f(nothing)."""

    comprehensiveness: float
    sufficiency: float
    deletion_area: float
    insertion_area: float
    deletion: Array
    "what is left after 0, 1 ... n segments have gone"
    insertion: Array


@dataclass(frozen=True)
class Faithfulness:
    """An attribution's measures beside those of random orders."""

    ordered: Removals
    random: Removals
    "the mean over random orders"


def faithfulness(
    target: Target, exchange: Exchange, found: Attribution, seed: int = 0
) -> Faithfulness | None:
    """Remove and bring back segments by their values, and at random.

    Args:
        target: what is explained.
        exchange: where.
        found: the values.
        seed: of the random orders.

    Returns:
        None where there are fewer than two segments or f(x) = f(nothing): shares mean nothing.
    """
    n = len(found.segments)
    whole, nothing = target([exchange, without(exchange, found.segments)]).tolist()
    if n < 2 or abs(whole - nothing) < 1e-9:
        return None
    rng = np.random.default_rng(seed)
    by_value = np.argsort(-np.sign(whole - nothing) * found.values, kind="stable")
    orders = [by_value, *(rng.permutation(n) for _ in range(RANDOM_ORDERS))]
    curves = _curves(target, exchange, found, orders)
    shares = (curves - nothing) / (whole - nothing)
    ordered, *others = [_removals(one) for one in shares]
    return Faithfulness(ordered, _mean(others))


def rank_agreement(one: Attribution, other: Attribution) -> float | None:
    """Spearman's correlation of two methods' values of the same segments.

    Returns:
        None where one of them says the same of all.

    Raises:
        ValueError: the segments differ.
    """
    if one.segments != other.segments:
        raise ValueError("Attributions of different segments cannot be compared.")
    if len(one.values) < 2 or not np.ptp(one.values) or not np.ptp(other.values):
        return None
    return float(spearmanr(one.values, other.values).statistic)


def _curves(
    target: Target, exchange: Exchange, found: Attribution, orders: Sequence[NDArray[np.int64]]
) -> Array:
    """Targets [order, deletion or insertion, segments moved], all asked for at once."""
    n, changed = len(found.segments), []
    for order in orders:
        segments = [found.segments[at] for at in order]
        changed += [without(exchange, segments[:moved]) for moved in range(n + 1)]
        changed += [without(exchange, segments[moved:]) for moved in range(n + 1)]
    return remembered(target)(changed).numpy().reshape(len(orders), 2, n + 1)


def _removals(curves: Array) -> Removals:
    deletion, insertion = curves
    n = len(deletion) - 1
    tops = [max(1, round(share * n)) for share in SHARES]
    return Removals(
        comprehensiveness=float(np.mean([1 - deletion[top] for top in tops])),
        sufficiency=float(np.mean([1 - insertion[top] for top in tops])),
        deletion_area=_area(deletion),
        insertion_area=_area(insertion),
        deletion=deletion,
        insertion=insertion,
    )


def _area(curve: Array) -> float:
    """Under a curve over the share of segments moved, by trapezoids."""
    return float(((curve[1:] + curve[:-1]) / 2).mean())


def _mean(many: Sequence[Removals]) -> Removals:
    return Removals(
        comprehensiveness=float(np.mean([one.comprehensiveness for one in many])),
        sufficiency=float(np.mean([one.sufficiency for one in many])),
        deletion_area=float(np.mean([one.deletion_area for one in many])),
        insertion_area=float(np.mean([one.insertion_area for one in many])),
        deletion=np.mean([one.deletion for one in many], axis=0),
        insertion=np.mean([one.insertion for one in many], axis=0),
    )
