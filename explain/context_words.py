"""Prices in context, in words."""

from irl.records import Caveat, Contexts


def told_contexts(found: Contexts) -> str:
    """Whether counting words is enough, in a sentence; names of words are untrusted."""
    if found.gain_r2 is None or found.words_r2 is None or found.context_r2 is None:
        return "Not measured: the answers do not differ within their prompts."
    alone = (
        f"On prompts they were not fitted to, prices of words explain {found.words_r2.value:.3f}"
    )
    if not found.contexts:
        return f"{alone} of the variance; no word was found that changes what others are worth."
    gain = found.gain_r2
    return (
        f"{alone} of the variance, and {found.context_r2.value:.3f} where words are priced after "
        f"{_named(found)} by themselves: a gain of {gain.value:.3f} ({gain.low:.3f} to "
        f"{gain.high:.3f}, n = {gain.n})."
    )


LEAST_GAIN = 0.02
"Share of the variance, from which on a reader is warned"


def matter(found: Contexts) -> bool:
    """Whether prices in context explain so much more that a reader must know."""
    return bool(found.contexts) and found.gain_r2 is not None and found.gain_r2.low >= LEAST_GAIN


def context_caveats(found: Contexts) -> list[Caveat]:
    """Prices of terms are means over contexts; where contexts matter, a reader must know."""
    if not matter(found):
        return []
    return [
        Caveat(
            code="context-matters",
            text=f"Words are worth something else after {_named(found)}; the weight of a term is "
            "its mean over contexts. contexts lists them.",
        )
    ]


def _named(found: Contexts) -> str:
    return " or ".join(f"`{context}`" for context in found.contexts)
