"""Captum's measures of an attribution: infidelity and sensitivity (Yeh et al. 2019, 1901.09392)."""

import torch
from captum.attr import IntegratedGradients
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from jaxtyping import Float
from torch import Tensor

from explain.attribution.embedded import TOKEN_BUDGET, Embedded
from explain.attribution.record import Attribution
from explain.attribution.removal import Game
from explain.attribution.seeding import seeded
from explain.targets import Exchange, Target

SUBSETS = 32
RADIUS = 0.05
"Of the change of embeddings, in standard deviations of theirs"
CHANGES = 4


def infidelity(
    target: Target, exchange: Exchange, found: Attribution, seed: int = 0
) -> float | None:
    """Share of what random removals change that the values do not foretell.

    E_I [(sum_i I_i v_i - (f(x) - f(x without I)))^2] / E_I [(f(x) - f(x without I))^2] over random
    sets I of segments, each of random size: 0 is perfect, 1 is what values of nought would get.

    Returns:
        None where no removal changes anything, or nothing can be removed.
    """
    if not found.segments:
        return None
    game = Game(target, exchange, found.segments)
    values = torch.from_numpy(found.values)[None].float()

    def remove(there: Float[Tensor, "row segment"]) -> tuple[Tensor, Tensor]:
        share = torch.rand(len(there), 1)
        gone = (torch.rand(there.shape) < share).float()
        return gone, there * (1 - gone)

    def error(of: Tensor) -> float:
        with seeded(seed):
            return float(
                captum_infidelity(
                    game,
                    remove,
                    game.everything,
                    of,
                    n_perturb_samples=SUBSETS,
                    max_examples_per_batch=SUBSETS,
                )
            )

    nothing = error(torch.zeros_like(values))
    return error(values) / nothing if nothing > 0 else None


def sensitivity(
    embedded: Embedded, steps: int, seed: int = 0, token_budget: int = TOKEN_BUDGET
) -> float | None:
    """The largest relative change of Integrated Gradients under a small change of the embeddings.

    max over draws of ||IG(x') - IG(x)|| / ||IG(x)||, x' within RADIUS standard deviations of the
    embeddings in every coordinate. IG is the map that people see: one value for each token of the
    text, summed over hidden coordinates and models. Both policies are changed alike; where their
    embeddings differ in width, the narrower one takes the first coordinates of the other's change.

    Args:
        embedded: the exchange.
        steps: of the integral.
        seed: of the changes.
        token_budget: of one pass.

    Returns:
        None where the map is nought everywhere, as it is for two policies that are the same.
    """
    method = IntegratedGradients(embedded.scalar)
    inputs, baselines = embedded.inputs, embedded.baselines
    radius = RADIUS * float(torch.cat([one.flatten().cpu() for one in inputs]).std())
    text = [at for at, span in enumerate(embedded.tokens) if span is not None]

    def explain(changes: tuple[Tensor]) -> Float[Tensor, "1 token"]:
        (change,) = changes
        at = tuple(one + change[..., : one.shape[-1]].to(one.device) for one in inputs)
        batch = min(embedded.at_once(token_budget), steps)
        found = method.attribute(at, baselines, n_steps=steps, internal_batch_size=batch)
        per_token = torch.stack([one.detach().double().cpu().sum(-1) for one in found])
        return per_token.sum(0)[:, text]

    nothing = torch.zeros(max((one.shape for one in inputs), key=lambda shape: shape[-1]))
    if not explain((nothing,)).any():
        return None
    with seeded(seed):
        found = sensitivity_max(
            explain,
            nothing,
            perturb_radius=radius,
            n_perturb_samples=CHANGES,
            max_examples_per_batch=1,
        )
    return float(found)
