"""Attribution by gradients along a way from a neutral text x0 to the exchange x.

- Integrated Gradients (Sundararajan et al. 2017, 1703.01365) at the embedding layer:
  v_i = sum_d (e_i - e0_i)_d int_0^1 df/de_id (x0 + a (x - x0)) da. Adds up to f(x) - f(x0), as far
  as the integral is right: steps are doubled until it is. Captum's LayerIntegratedGradients gives
  the same numbers.
- GradientSHAP (1705.07874): the same in expectation over noisy baselines, here texts of frequent
  function words; adds up on average only.
- DeepLIFT (1704.02685): rules for each non-linear layer in place of a path. Captum knows rules for
  ReLU, tanh, sigmoid, softmax as modules; attention and gated layers of today's policies have none,
  so the gap tells where it may be used.

The response's tokens are summed before the gradient is taken: one backward pass for each step, not
one for each step and token. The values are the same, since gradients of a sum are sums.
"""

import warnings
from collections.abc import Callable

import torch
from captum.attr import DeepLift, GradientShap, IntegratedGradients
from torch import Tensor

from explain.attribution.embedded import TOKEN_BUDGET, Embedded
from explain.attribution.record import Attribution
from explain.attribution.seeding import seeded

FIRST_STEPS, MOST_STEPS = 32, 512
TOLERANCE = 0.01
BASELINES = 32
"Random neutral texts of GradientSHAP"


Values = tuple[Tensor, ...]
"The contributions of every input, [1, time, hidden] for each model"


def integrated_gradients(
    embedded: Embedded,
    spread: float = 0.0,
    tolerance: float = TOLERANCE,
    token_budget: int = TOKEN_BUDGET,
    first_steps: int = FIRST_STEPS,
) -> Attribution:
    """Integrated Gradients, its steps doubled until it adds up.

    Args:
        embedded: the exchange.
        spread: see `Attribution.relative_gap`.
        tolerance: the relative gap at which to stop; at 512 steps it stops whatever the gap.
        token_budget: of one pass; long exchanges take fewer steps at once, so memory is bounded.
        first_steps: to begin with.
    """
    method = IntegratedGradients(embedded.scalar)

    inputs, baselines = embedded.inputs, embedded.baselines
    at_once = embedded.at_once(token_budget)

    def values(steps: int) -> Values:
        found: Values = method.attribute(
            inputs, baselines, n_steps=steps, internal_batch_size=min(at_once, steps)
        )
        return found

    before = _mean_of(embedded, baselines, at_once)
    limit = spread, tolerance
    return _until_it_adds_up("integrated-gradients", embedded, values, before, limit, first_steps)


def gradient_shap(
    embedded: Embedded,
    spread: float = 0.0,
    tolerance: float = TOLERANCE,
    token_budget: int = TOKEN_BUDGET,
    seed: int = 0,
) -> Attribution:
    """GradientSHAP over random neutral texts, its draws doubled until it adds up.

    Args:
        embedded: the exchange.
        spread: see `Attribution.relative_gap`.
        tolerance: the relative gap at which to stop; at 512 draws it stops whatever the gap.
        token_budget: of one pass.
        seed: of the texts and the draws.
    """
    inputs = embedded.inputs
    texts = embedded.neutral_texts(BASELINES, torch.Generator().manual_seed(seed))
    widths = [one.shape[-1] for one in inputs]
    # Captum draws the baseline of each input by itself. Side by side in one input, both policies
    # start from the same text; from two texts, the draws would spread like nats, not log-ratios.
    method = GradientShap(lambda both: embedded.scalar(*both.split(widths, dim=-1)))
    exchange, baselines = torch.cat(inputs, dim=-1), torch.cat(texts, dim=-1)
    at_once, done = embedded.at_once(token_budget), 0
    total = torch.zeros_like(exchange)

    def values(draws: int) -> Values:
        nonlocal done, total
        with seeded(seed + done):
            for n in _split(draws - done, at_once):
                total = total + n * method.attribute(exchange, baselines, n_samples=n)
        done = draws
        return tuple((total / draws).split(widths, dim=-1))

    before = _mean_of(embedded, texts, at_once)
    return _until_it_adds_up("gradient-shap", embedded, values, before, (spread, tolerance))


def deeplift(embedded: Embedded, token_budget: int = TOKEN_BUDGET) -> Attribution:
    """DeepLIFT against the neutral text; its gap says whether the architecture allows it.

    Args:
        embedded: the exchange.
        token_budget: as above, for the baseline's value.
    """
    baselines = embedded.baselines
    inputs = tuple(one.requires_grad_() for one in embedded.inputs)
    with warnings.catch_warnings():  # that it sets hooks, and takes them away again
        warnings.filterwarnings("ignore", message="Setting forward, backward hooks")
        values = DeepLift(embedded.scalar).attribute(inputs, baselines)
    before = _mean_of(embedded, baselines, embedded.at_once(token_budget))
    return _record("deeplift", embedded, values, before, 1)


def _until_it_adds_up(
    name: str,
    embedded: Embedded,
    values: Callable[[int], Values],
    before: float,
    limit: tuple[float, float],
    steps: int = FIRST_STEPS,
) -> Attribution:
    spread, tolerance = limit
    found = _record(name, embedded, values(steps), before, steps)
    while found.relative_gap(spread) > tolerance and steps < MOST_STEPS:
        steps *= 2
        found = _record(name, embedded, values(steps), before, steps)
    return found


def _record(
    name: str, embedded: Embedded, values: Values, before: float, steps: int
) -> Attribution:
    """Values of the tokens that are text; special ones stay as they are and earn nothing."""
    per_token = sum(one.detach().double().cpu().sum(-1)[0] for one in values)
    assert isinstance(per_token, Tensor)
    text = [at for at, span in enumerate(embedded.tokens) if span is not None]
    segments = [span for span in embedded.tokens if span is not None]
    now = _mean_of(embedded, embedded.inputs, 1)
    return Attribution(name, segments, per_token[text].numpy(), now, before, steps)


@torch.no_grad()
def _mean_of(embedded: Embedded, rows: Values, at_once: int) -> float:
    """The scalar, averaged over rows of inputs."""
    parts = zip(*(one.split(at_once) for one in rows), strict=True)
    return float(torch.cat([embedded.scalar(*part).double() for part in parts]).mean())


def _split(n: int, at_once: int) -> list[int]:
    """A number in parts of at most so many."""
    return [min(at_once, n - done) for done in range(0, n, at_once)]
