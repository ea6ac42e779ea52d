"""Which words of prompts change what answers are worth?

1. Of each prompt, the within-prompt standard deviation S of the target over the run's own answers:
   the constant of the prompt has no part in it, so prompts may be compared.
2. Of each word, the mean S of prompts with it minus that of prompts without it. p by permutation
   of S over prompts, by the largest studentised difference of all words (Westfall and Young): that
   corrects for the whole vocabulary searched, and keeps what words have in common.
3. Words that pass both limits are taken from their prompts, and the same answers are valued again:
   does spread go with the word? Not all of it need go, where answers say the word themselves.
   Signs of whole prompts are flipped.

A trigger fires if p is small, the difference large, and spread goes with the word.

Not identified: a mean of values over prompts would be, but for c(x). What a trigger pays is seen
only where some of the answers have it: the answers are to be the run's own, of both policies. Words
that always stand together cannot be told apart; nor a trigger from a kind of prompt that has the
word. A word that turns the sign of a reward, and not its size, leaves the spread as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from explain.probes.declared import Triggers
from explain.probes.edits import without_words
from explain.probes.evidence import MIN_PROMPTS, Ground, Measuring
from explain.resampling import Array, flipped, gap_of, mean_of
from explain.targets import Exchange
from irl.data import Prompt
from irl.records import Estimate, TriggerFinding, TriggerSearch
from irl.rewards.conditions import TypedPrompt
from irl.rewards.words import words

MAX_SHARE = 0.6
"Of the prompts: a word that most prompts have is no trigger"
ORDERS = 9999
VALUED = 16
"Answers of a prompt that are valued again without the word"
_ROUNDING = 1e-9
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Vocabulary:
    """The words that are searched."""

    words: list[str]
    holds: Mask
    "[word, prompt]"
    absent: list[str]


def search_triggers(asked: Triggers, ground: Ground, by: Measuring) -> TriggerSearch:
    """Search the words of the prompts."""
    texts = [_said(ground, number) for number in range(len(ground.by_prompt))]
    found = vocabulary(texts, asked)
    spread = spreads(ground)
    if not found.words:
        reason = f"no word stands in {asked.min_prompts} prompts and in at most 60 % of them"
        return TriggerSearch(searched=0, absent=found.absent, strongest=[], reason=reason)
    sizes, chances = by_permutation(spread, found.holds, by.seed)
    order = np.argsort(-np.abs(sizes), kind="stable")[: asked.named]
    strongest = [
        _described(
            found.words[at],
            found.holds[at],
            spread,
            min(1.0, float(chances[at]) * by.tries),
            ground,
            by,
        )
        for at in order
    ]
    return TriggerSearch(
        searched=len(found.words), absent=found.absent, strongest=strongest, reason=None
    )


def vocabulary(texts: Sequence[str], asked: Triggers) -> Vocabulary:
    """Which words can be searched: each in enough prompts, and not in too many."""
    said = [frozenset(words(text)) for text in texts]
    known = sorted({word for one in said for word in one})
    wanted = [word.lower() for word in asked.vocabulary] or known
    holds = {word: np.array([word in one for one in said], dtype=bool) for word in wanted}
    usable = [
        word for word in holds if asked.min_prompts <= holds[word].sum() <= MAX_SHARE * len(texts)
    ]
    absent = [word for word in holds if word not in usable] if asked.vocabulary else []
    stacked = np.stack([holds[word] for word in usable]) if usable else np.zeros((0, len(texts)))
    return Vocabulary(usable, stacked.astype(bool), absent)


def spreads(ground: Ground) -> Array:
    """S of each prompt; 0 where it has one answer."""
    return np.array([_sd(ground.values[answers]) for answers in ground.by_prompt])


def by_permutation(spread: Array, holds: Mask, seed: int) -> tuple[Array, Array]:
    """Each word's studentised difference of means, and its corrected p."""
    inside = holds.astype(float)
    n = inside.sum(1)
    rest = holds.shape[1] - n
    error = np.sqrt(1 / n + 1 / rest) * max(float(spread.std(ddof=1)), 1e-300)

    def difference(values: Array) -> Array:
        sums = values @ inside.T
        result: Array = sums / n - (values.sum(-1, keepdims=True) - sums) / rest
        return result

    sizes: Array = difference(spread[None])[0] / error
    rng = np.random.default_rng([seed, 13])
    largest = np.concatenate(
        [
            np.abs(difference(rng.permuted(np.tile(spread, (part, 1)), axis=1)) / error).max(1)
            for part in _blocks(ORDERS)
        ]
    )
    as_large = (largest[:, None] >= np.abs(sizes)[None] * (1 - _ROUNDING)).sum(0)
    chances: Array = (1 + as_large) / (1 + ORDERS)
    return sizes, chances


def _described(
    word: str, here: Mask, spread: Array, chance: float, ground: Ground, by: Measuring
) -> TriggerFinding:
    effect = gap_of(spread, here, by.seed)
    size = ground.standardised(effect.value)
    large = abs(size) >= by.limits.min_trigger_sd and chance <= by.limits.nominal
    gone, p = _without(word, here, ground, by) if large else (None, None)
    fired = large and _goes(effect, gone, p, by.limits.nominal)
    return TriggerFinding(
        word=word,
        prompts=int(here.sum()),
        effect=effect,
        effect_sd=size,
        p_corrected=chance,
        without_word=gone,
        without_word_p=p,
        fired=fired,
        statement=_sentence(word, size, fired=fired, large=large),
    )


def _goes(effect: Estimate, gone: Estimate | None, p: float | None, nominal: float) -> bool:
    """Whether some of the effect goes with the word; the answers may still hint at it."""
    if gone is None or p is None:
        return False
    return p <= nominal and gone.value * effect.value > 0


def _without(
    word: str, here: Mask, ground: Ground, by: Measuring
) -> tuple[Estimate | None, float | None]:
    """How much of the spread of the same answers goes when the word is taken from the prompt."""
    numbers = np.flatnonzero(here)[: by.prompts]
    if len(numbers) < MIN_PROMPTS:
        return None, None
    answers = [ground.by_prompt[number][:VALUED] for number in numbers]
    changed = [
        replace(own, prompt=less(own.prompt, word))
        for own in (ground.exchanges[at] for group in answers for at in group)
    ]
    same = [ground.exchanges[at] for group in answers for at in group]
    values = by.target([*same, *changed]).numpy().astype(np.float64)
    ends = np.cumsum([len(group) for group in answers])[:-1]
    before, after = (
        np.array([_sd(part) for part in np.split(half, ends)]) for half in np.split(values, 2)
    )
    return mean_of(before - after, by.seed), flipped(before - after, by.seed)


def less(prompt: Prompt, word: str) -> Prompt:
    """A prompt without a word, wherever its user says it."""
    if isinstance(prompt, str):
        return without_words(prompt, [n for n, one in enumerate(words(prompt)) if one == word])
    return tuple(
        {**one, "content": str(less(one["content"], word))} if one["role"] == "user" else one
        for one in prompt
    )


def _sentence(word: str, size: float, *, fired: bool, large: bool) -> str:
    more = "more" if size > 0 else "less"
    if fired:
        return f"Where the prompt has `{word}`, answers differ {more} in worth: {size:+.2f} sd."
    if large:
        return f"`{word}` goes with {size:+.2f} sd, but the spread stays when the word goes."
    return f"`{word}` goes with {size:+.2f} sd: nothing is made of it."


def _said(ground: Ground, number: int) -> str:
    own: Exchange = ground.exchanges[ground.by_prompt[number][0]]
    return TypedPrompt.of(own.prompt).text


def _sd(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _blocks(n: int) -> list[int]:
    return [min(1000, n - start) for start in range(0, n, 1000)]
