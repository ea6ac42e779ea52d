"""The control of randomised weights (Adebayo et al. 2018, 1810.03292).

An attribution that looks the same for a model that has learnt nothing shows the text and not the
model.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from explain.attribution.embedded import Embedded


@contextmanager
def randomised(embedded: Embedded, seed: int = 0) -> Iterator[None]:
    """Inside, the models' weights are shuffled, each within its own matrix; afterwards as before.

    Shuffling keeps the size of all weights, so the scalar stays of a size that gradients can
    follow; what is learnt is gone. The embeddings stay, so the texts and x0 are the same, and with
    them a head that is tied to them; a head of its own is shuffled like all else. Needs memory for
    a second copy of the weights. Not for several threads at once.

    Args:
        embedded: an exchange.
        seed: of the shuffles.
    """
    generator = torch.Generator().manual_seed(seed)
    kept = {id(one) for module in embedded.embedders for one in module.parameters()}
    shuffled = [one for one in embedded.scalar.parameters() if id(one) not in kept]
    before = [one.detach().clone() for one in shuffled]
    try:
        for weight in shuffled:
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.data = weight.data.flatten()[order].view(weight.shape)
        yield
    finally:
        for weight, was in zip(shuffled, before, strict=True):
            weight.data = was
