"""Adversarial: a generator that chases the aligned policy, and a reward that tells them apart.

Adversarial inverse RL (1710.11248) for answers as single actions. The generator is the reference
tilted by a head of its own, pi_G(y|x) = pi_ref(y|x) exp(g(x, y)) / Z_g(x); its samples are the
reference's answers with weights softmax(g). With f the reward and h(x) a shaping potential,

    logit D(x, y) = f(x, y) + h(x) - log pi_G/pi_ref(y|x)
    the reward minimises     E_A[-log D] + E_G[-log(1 - D)]
    the generator maximises  E_G[f] - KL(pi_G || pi_ref)

Both take a step at each batch. In a tree of prefixes, shaping adds to whole answers a function of
the prompt only (irl/token_mdp.py), so h is what normalises f, h(x) = -log Z_f(x), and stripping it
leaves f. At the fixed point pi_G = pi_A and f = log pi_A/pi_ref + c(x). The discriminator itself is
no reward: it is constant there. Game and optimum are not the same thing; where the reference's
answers do not reach those of the aligned policy, weights collapse onto few of them.

Not identified: c(x).
"""

import torch

from irl.config import Learning
from irl.losses import Losses, Sides, log_partition, mean_over
from irl.recovery.bradley_terry import pairs
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit
from irl.rewards.heads import Form


def by_game(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Reward and generator in turns; stopped by how well the reward orders held-out pairs."""
    return fit(examples, form, Aim(game, parts=2, judged_by=pairs), learning)


def game(_: Batch, reward: Sides, generator: Sides) -> Losses:
    """Both players' losses; neither sees a gradient of the other's."""
    return _discriminator(reward, generator) + _generator(reward, generator)


def _discriminator(reward: Sides, generator: Sides) -> Losses:
    shaping = -log_partition(reward)[..., None]
    tilt = log_partition(generator).detach()[..., None]
    real = reward.aligned + shaping - (generator.aligned.detach() - tilt)
    made = reward.reference + shaping - (generator.reference.detach() - tilt)
    weights = generator.tilted.detach()
    softplus = torch.nn.functional.softplus
    return mean_over(softplus(-real), reward.ours) + (weights * softplus(made)).sum(-1)


def _generator(reward: Sides, generator: Sides) -> Losses:
    log_tilt = generator.reference - log_partition(generator)[..., None]
    return (generator.tilted * (log_tilt - reward.reference.detach())).sum(-1)
