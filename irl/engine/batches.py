"""Order work so that little is padded."""

from collections.abc import Sequence


def by_length(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices grouped into batches, longest first, each at most `token_budget` padded tokens.

    A sequence longer than the budget gets a batch of its own. Equal lengths keep their order, so
    the grouping is a function of the lengths alone.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        full = not batches or lengths[batches[-1][0]] * (len(batches[-1]) + 1) > token_budget
        if full:
            batches.append([index])
        else:
            batches[-1].append(index)
    return batches
