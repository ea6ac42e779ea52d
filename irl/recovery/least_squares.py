"""Within-prompt least squares on sparse counts, with cluster-robust errors.

Rows are responses, columns are features, groups are prompts. With C the centring within groups,

    w = G^-1 X'C y,   G = X'CX + ridge I
    w - w_(-g) = G^-1 X_g' (I - H_g)^-1 e_g,   H_g = X_g G^-1 X_g'
    cov = (n - 1) / n sum_g (w - w_(-g)) (w - w_(-g))'

where w_(-g) is fitted without group g, X_g and e_g are its centred features and residuals, and n is
the number of groups: the jackknife (CV3 in MacKinnon, Nielsen and Webb 2023). The sandwich of Liang
and Zeger (1986) lacks (I - H_g)^-1; a feature that one group decides then looks certain, since the
fit goes through that group and leaves it no residuals. A feature that stands in few groups has few
degrees of freedom, however many groups there are: it counts as many as would carry it alike,

    n* = (sum_g q_g)^2 / sum_g q_g^2,   q_g = the feature's centred sum of squares in group g

(in the spirit of Carter, Schnepel and Steigerwald 2017).
The whole matrix is never made dense: X'CX = X'X - S' diag(1/n) S with S the group sums of X.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.sparse import csr_matrix, diags
from scipy.stats import t

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
RIDGE = 1e-3
"In squared occurrences: only breaks exact ties between features that always go together"
_BLOCK = 4096
"Rows that are dense at a time, unless one group has more"


@dataclass(frozen=True)
class Design:
    """Features of responses, to be compared within groups."""

    features: csr_matrix
    "[response, feature]"
    group: Codes
    "group number of each response, all of 0 .. max used"

    def columns(self, chosen: Array | Codes) -> "Design":
        """The same responses with some of the features."""
        return Design(self.features[:, chosen], self.group)

    def rows(self, chosen: NDArray[np.bool_]) -> "Design":
        """Some of the responses, groups renumbered."""
        group = np.unique(self.group[chosen], return_inverse=True)[1]
        return Design(self.features[chosen], group)

    @property
    def indicator(self) -> csr_matrix:
        """[group, response], 1 where the response belongs to the group."""
        n = len(self.group)
        shape = (int(self.group.max()) + 1 if n else 0, n)
        return csr_matrix((np.ones(n), (self.group, np.arange(n))), shape=shape)

    def cross(self, other: "Design") -> Array:
        """Centred cross products X'CZ with the features of another design, dense."""
        sizes = np.bincount(self.group)
        mine, theirs = self.indicator @ self.features, other.indicator @ other.features
        raw = self.features.T @ other.features - mine.T @ diags(1.0 / sizes) @ theirs
        return np.asarray(raw.todense())

    def squares(self) -> Array:
        """The diagonal of X'CX."""
        sums = self.indicator @ self.features
        within = sums.multiply(sums).multiply(1.0 / np.bincount(self.group)[:, None])
        total = self.features.multiply(self.features).sum(0) - within.sum(0)
        return np.asarray(total).ravel()

    def centre(self, values: Array) -> Array:
        """Values of responses minus the mean of their group."""
        means = np.bincount(self.group, weights=values) / np.bincount(self.group)
        result: Array = values - means[self.group]
        return result

    def predict(self, weights: Array) -> Array:
        """Centred predictions of every response."""
        return self.centre(np.asarray(self.features @ weights))


@dataclass(frozen=True)
class Solution:
    """Weights and what is needed to judge them."""

    weights: Array
    residuals: Array
    "centred, [response]"
    influence: Array
    "[group, feature]: what leaving a group out takes from each weight, exactly"
    groups: Array
    "[feature]: n*, how many groups carry it"

    @property
    def standard_errors(self) -> Array:
        """Of the jackknife over groups."""
        n = max(len(self.influence), 2)
        errors: Array = np.sqrt((self.influence**2).sum(0) * (n - 1) / n)
        return errors


def solve(design: Design, returns: Array, ridge: float = RIDGE) -> Solution:
    """Least squares of centred returns on centred features."""
    n_features = design.features.shape[1]
    y = design.centre(returns)
    if not n_features:
        none = np.empty(0)
        return Solution(none, y, np.empty((int(design.group.max()) + 1, 0)), none)
    factor = cho_factor(design.cross(design) + ridge * np.eye(n_features), lower=True)
    weights = cho_solve(factor, np.asarray(design.features.T @ y))
    residuals = y - design.predict(weights)
    pulls, squares = [], []
    for features, left in _blocks(design, residuals):
        pulls.append(_pulls(features, left, factor[0]))
        squares.append((features**2).sum(1))
    influence = cho_solve(factor, np.concatenate(pulls).T).T
    return Solution(weights, residuals, influence, _carriers(np.concatenate(squares)))


def _carriers(squares: Array) -> Array:
    """n* of each feature, from its sums of squares in each group; 0 where it never varies."""
    total = (squares**2).sum(0)
    carriers: Array = squares.sum(0) ** 2 / np.where(total > 0, total, 1.0)
    return carriers


def _pulls(features: Array, residuals: Array, lower: Array) -> Array:
    """X_g' (I - H_g)^-1 e_g, [group, feature], of dense groups of one size."""
    shape = features.shape
    half = solve_triangular(lower, features.reshape(-1, shape[2]).T, lower=True).T.reshape(shape)
    without = np.eye(shape[1]) - half @ half.transpose(0, 2, 1)
    unfitted = np.linalg.solve(without, residuals[:, :, None])
    pulls: Array = (features * unfitted).sum(1)
    return pulls


def _blocks(design: Design, residuals: Array) -> Iterator[tuple[Array, Array]]:
    """Centred features [group, place, feature] and residuals [group, place] of some groups.

    Groups are filled up to the largest of their block with places where all is 0.
    """
    sizes = np.bincount(design.group)
    order = np.argsort(design.group, kind="stable")
    ends = np.cumsum(sizes)
    place = np.arange(len(order)) - np.repeat(ends - sizes, sizes)
    per_block = max(_BLOCK // int(sizes.max()), 1)
    for first in range(0, len(sizes), per_block):
        some = sizes[first : first + per_block]
        rows = slice(ends[first] - sizes[first], ends[first + len(some) - 1])
        at = np.repeat(np.arange(len(some)), some), place[rows]
        dense = design.features[order[rows]].toarray()
        means = np.add.reduceat(dense, np.cumsum(some) - some) / some[:, None]
        features = np.zeros((len(some), int(some.max()), dense.shape[1]))
        features[at] = dense - means[at[0]]
        left = np.zeros(features.shape[:2])
        left[at] = residuals[order[rows]]
        yield features, left


def significant(z_scores: Array, rate: float, tried: int, groups: Array | int) -> NDArray[np.bool_]:
    """Benjamini-Hochberg (1995): which scores are kept at a false discovery rate, two-sided.

    `tried` counts all hypotheses, also those that an earlier pass has dropped. The errors rest on
    that many `groups`, of all or of each, so Student's t with groups - 1 degrees of freedom is the
    yardstick: with a handful of prompts the normal one lets noise through, and with one prompt
    nothing is kept.
    """
    if not len(z_scores):
        return np.zeros(0, dtype=bool)
    p = np.where(np.asarray(groups) > 1, 2 * t.sf(np.abs(z_scores), freedom(groups)), 1.0)
    order = np.argsort(p)
    limits = rate * np.arange(1, len(p) + 1) / tried
    below = np.flatnonzero(p[order] <= limits)
    kept = np.zeros(len(p), dtype=bool)
    kept[order[: below[-1] + 1 if len(below) else 0]] = True
    return kept


def freedom(groups: Array | int) -> Array:
    """Degrees of freedom of errors that rest on so many groups; with one hardly any."""
    return np.atleast_1d(np.asarray(groups, dtype=np.float64) - 1).clip(min=1e-3)
