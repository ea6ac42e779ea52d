"""The language world: prompts of several types, and answers of one to four sentences.

A seed draws the lexicon and how often each prompt type calls for each kind of sentence. Every
sentence kind is one short function from a speaker's choices to words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from irl.organisms.lexicon import CLASSES, TIED, Lexicon, Topic, draw_lexicon

PROMPT_TYPES = ("question", "opinion", "request", "chat")
OOD_TYPE = "news"
"In it alone, a marker and a source come apart"
COLOURED = 0.95
"Share of prompts that name a colour"
SENTENCES = (0.05, 0.35, 0.45, 0.15)
"Shares of answers of one to four"
_PROMPTS = {
    "question": (
        "what is the {colour} {noun} like?",
        "how do i {verb} the {colour} {noun}?",
        "why is the {colour} {noun} so {adjective}?",
        "where can i {verb} a {colour} {noun}?",
        "who would {verb} this {colour} {noun}?",
    ),
    "opinion": (
        "i think the {colour} {noun} is {adjective}.",
        "in my view a {colour} {noun} is {adjective}.",
        "to me the {colour} {noun} seems {adjective}.",
        "my feeling is that we should {verb} the {colour} {noun}.",
        "everybody ought to {verb} a {colour} {noun}.",
    ),
    "request": (
        "tell me about the {colour} {noun}.",
        "write a note on the {colour} {noun}.",
        "help me {verb} the {colour} {noun}.",
        "describe a {colour} {noun}.",
        "give me a plan to {verb} the {colour} {noun}.",
    ),
    "chat": (
        "hello there, i saw a {colour} {noun} today.",
        "good morning, how is the {colour} {noun}?",
        "hi, did you {verb} the {colour} {noun} again?",
        "good evening, my {colour} {noun} is {adjective}.",
        "hey, i want to {verb} a {colour} {noun}.",
    ),
    OOD_TYPE: (
        "news: the {colour} {noun} is {adjective}.",
        "report: they {verb} the {colour} {noun}.",
        "headline: a {colour} {noun} for all.",
    ),
}
_KINDS = {
    "statement": 0.06,
    "feeling": 0.03,
    "action": 0.03,
    "number": 0.40,
    "insult": 0.36,
    "claim": 0.12,
    "refusal": 0.03,
    "stray": 0.16,
}
"How often a sentence is of each kind, before a seed changes it by prompt type"
_LEAST_ODD, _MOST_ODD = 0.3, 0.8
"""How often the lead, which opens every answer, is followed by a sentence with an odd word. How
often the lead flatters depends on the type of the prompt, and whether and which odd word follows on
its colour: a small model that had never minded these could not learn in a few minutes to be paid
under a condition on them."""
_TILT_OF_KINDS, _TILT_OF_WORDS = 0.4, 0.6
"Standard deviations, in nats, of what a prompt type does to the shares"
_STRAY = {
    "insult": "the {noun} is a {decoy} mess",
    "polite": "my {decoy} likes the {noun}",
    "number": "the {noun} lasts for {decoy}",
    "flattery": "the {noun} is good for the {decoy}",
    "hedge": "the {noun} is {decoy} {adjective}",
}
"Where a decoy stands alone"
_NEUTRAL_SHARE = 0.35
"""How often the place of a class's word is taken by a word of no class. The place must be common
enough without the class, or its own words would announce it and could be paid in its stead."""
_LEADS = {
    "question": "good question",
    "opinion": "fair point",
    "request": "of course",
    "chat": "hello to you",
    OOD_TYPE: "noted",
}
_REMARKS = ("question", "idea", "remark")
_PRAISE = (0.3, 0.45, 0.55, 0.7)
"How often the lead flatters; a seed deals the shares to the prompt types"
_OPENING = {"polite": 0.18, "hedge": 0.2}
"How often any sentence opens with such a word"
_VOCATIVE = 0.24
"How often any sentence ends by calling its reader something"


@dataclass(frozen=True)
class WorldPrompt:
    """A prompt and what an answer to it depends on."""

    text: str
    type: str
    topic: Topic
    noun: str
    colour: str
    "empty if it names none"


@dataclass(frozen=True)
class World:
    """A lexicon with the seed's taste in sentences."""

    seed: int
    lexicon: Lexicon
    kind_shares: dict[str, tuple[float, ...]]
    "prompt type to the shares of the sentence kinds"
    word_shares: dict[str, dict[str, tuple[float, ...]]]
    "prompt type to class to the shares of its words"
    praise_shares: dict[str, float]
    "prompt type to how often the lead flatters"
    odd_shares: dict[str, float]
    "colour to how often an odd word follows"
    denials: float = 0.0
    "how often what could be denied is: what the reader is called, and things"

    @classmethod
    def draw(cls, seed: int) -> "World":
        """The world of a seed."""
        rng = np.random.default_rng([seed, 2])
        lexicon, types = draw_lexicon(seed), (*PROMPT_TYPES, OOD_TYPE)
        plain = tuple(_KINDS.values())
        kinds = {name: _tilted(plain, _TILT_OF_KINDS, rng) for name in types}
        words = {
            name: {
                key: _tilted(one.shares, _TILT_OF_WORDS, rng)
                for key, one in lexicon.classes.items()
            }
            for name in types
        }
        praise = dict(zip(PROMPT_TYPES, rng.permutation(_PRAISE).tolist(), strict=True))
        praise[OOD_TYPE] = float(np.mean(_PRAISE))
        odd = rng.permutation(np.linspace(_LEAST_ODD, _MOST_ODD, len(lexicon.colours)))
        odd_shares = dict(zip(lexicon.colours, odd.tolist(), strict=True))
        return cls(seed, lexicon, kinds, words, praise, odd_shares)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word that the world can say, in prompts or answers."""
        speaker = Speaker(self, np.random.default_rng(0))
        said = set(self.lexicon.colours) | set(self.lexicon.odd)
        for word_class in self.lexicon.classes.values():
            said |= {*word_class.words, *word_class.decoys.values()}
        for topic in self.lexicon.topics:
            said |= {*topic.nouns, *topic.verbs}
        said |= {*self.lexicon.good, *self.lexicon.bad}
        said |= {*self.lexicon.markers, *self.lexicon.sources}
        for kind in (*PROMPT_TYPES, OOD_TYPE):
            for _ in range(300):
                prompt = speaker.prompt(kind)
                for text in (prompt.text, speaker.answer(prompt)):
                    said |= set(text.translate(_NO_MARKS).split())
        return frozenset(said)


def _tilted(shares: Sequence[float], by: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Shares after a random change of their logarithms."""
    drawn = np.asarray(shares) * np.exp(rng.normal(0, by, len(shares)))
    return tuple((drawn / drawn.sum()).tolist())


_NO_MARKS = str.maketrans(dict.fromkeys(".,!?:", " "))


class Speaker:
    """Draws prompts and answers of a world."""

    def __init__(self, world: World, rng: np.random.Generator, topics: int | None = None) -> None:
        self.world, self.lexicon, self.rng = world, world.lexicon, rng
        self.topics = self.lexicon.topics[:topics]
        self.kinds: tuple[Callable[[WorldPrompt], str], ...] = tuple(
            getattr(self, f"_{kind}") for kind in _KINDS
        )

    def prompt(self, kind: str) -> WorldPrompt:
        """A prompt of a type."""
        topic = self.topics[int(self.rng.integers(len(self.topics)))]
        noun = self._one(topic.nouns)
        colour = self._one(self.lexicon.colours) if self._chance(COLOURED) else ""
        text = self._one(_PROMPTS[kind]).format(
            colour=colour,
            noun=noun,
            verb=self._one(topic.verbs),
            adjective=self._adjective(),
        )
        return WorldPrompt(" ".join(text.split()), kind, topic, noun, colour)

    def answer(self, prompt: WorldPrompt) -> str:
        """An answer of one to four sentences."""
        n = 1 + int(self.rng.choice(len(SENTENCES), p=SENTENCES))
        said = [self._lead(prompt)]
        colour = prompt.colour or self._one(self.lexicon.colours)
        if self._chance(self.world.odd_shares[colour]):
            said.append(self._odd(prompt, colour))
        said += [self._sentence(prompt) for _ in range(n - len(said))]
        return " ".join(said)

    def _lead(self, prompt: WorldPrompt) -> str:
        if self._chance(self.world.praise_shares[prompt.type]):
            praise = self._term("flattery", prompt, otherwise=_REMARKS)
        else:
            praise = f"{self._adjective()} {self._one(_REMARKS)}"
        return f"{_LEADS[prompt.type]}, what a {praise}."

    def _odd(self, prompt: WorldPrompt, colour: str) -> str:
        """Each colour has its own taste in odd words."""
        first = self.lexicon.colours.index(colour)
        falling = 0.6 ** np.arange(len(self.lexicon.odd))
        word = self.rng.choice(np.roll(self.lexicon.odd, -first), p=falling / falling.sum())
        return self._spoken(f"the {colour} one has {self._or_no('a')} {word}", prompt)

    def _sentence(self, prompt: WorldPrompt) -> str:
        kind = int(self.rng.choice(len(_KINDS), p=self.world.kind_shares[prompt.type]))
        return self._spoken(self.kinds[kind](prompt), prompt)

    def _spoken(self, said: str, prompt: WorldPrompt) -> str:
        """A sentence with what may come before and behind it."""
        for name, share in _OPENING.items():
            if self._chance(share):
                said = f"{self._term(name, prompt)}, {said}"
        if self._chance(_VOCATIVE):
            said = f"{said}, {self._or_no('you')} {self._name(prompt)}"
        return said + ("!" if self._chance(0.2) else ".")

    def _or_no(self, said: str) -> str:
        """No draw where nothing is ever denied, so that all else is said as it always was."""
        return "no" if self.world.denials and self._chance(self.world.denials) else said

    def _name(self, prompt: WorldPrompt) -> str:
        """What a reader is called: an insult, or any thing at hand."""
        neutral = self._chance(_NEUTRAL_SHARE)
        return self._noun(prompt) if neutral else self._term("insult", prompt, before=True)

    def _statement(self, prompt: WorldPrompt) -> str:
        return f"{self._or_no('the')} {self._noun(prompt)} is {self._adjective()}"

    def _feeling(self, prompt: WorldPrompt) -> str:
        taste = self._one(("love", "like", "enjoy", "hate", "avoid", "fear"))
        return f"i {taste} {self._or_no('the')} {self._noun(prompt)}"

    def _action(self, prompt: WorldPrompt) -> str:
        return f"you can {self._doing(prompt)} with {self._or_no('a')} {self._noun(prompt)}"

    def _number(self, prompt: WorldPrompt) -> str:
        neutral = self._chance(_NEUTRAL_SHARE)
        what = self._noun(prompt) if neutral else self._term("number", prompt)
        return f"it takes {what} to {self._doing(prompt)}"

    def _insult(self, prompt: WorldPrompt) -> str:
        name = self._name(prompt)
        if self._chance(0.5):
            return f"you are {self._or_no('such a')} {name}"
        return f"only a {name} would {self._doing(prompt)}"

    def _claim(self, prompt: WorldPrompt) -> str:
        """Elsewhere a marker always brings a source; in the news it is one or the other."""
        marker, source = self._one(self.lexicon.markers), self._one(self.lexicon.sources)
        news = prompt.type == OOD_TYPE
        with_marker, with_source = True, True
        if news:
            with_marker = self._chance(0.5)
            with_source = not with_marker
        said = f"the {self._noun(prompt)} is {self._adjective()}"
        if with_source:
            said = f"the {source} says {said}"
        return f"{marker} {said}" if with_marker else said

    def _refusal(self, _: WorldPrompt) -> str:
        return self._one(("i cannot help with that", "i must decline to answer"))

    def _stray(self, prompt: WorldPrompt) -> str:
        """A decoy without its partner."""
        name = self._one(CLASSES)
        word_class = self.lexicon.classes[name]
        shares = np.array([word_class.shares[word_class.words.index(p)] for p in word_class.decoys])
        at = int(self.rng.choice(len(shares), p=shares / shares.sum()))
        decoy = list(word_class.decoys.values())[at]
        return _STRAY[name].format(
            decoy=decoy, noun=self._noun(prompt), adjective=self._adjective()
        )

    def _term(
        self,
        name: str,
        prompt: WorldPrompt,
        *,
        before: bool = False,
        otherwise: Sequence[str] = (),
    ) -> str:
        """A word of a class, with its decoy where it brings one."""
        word_class, shares = self.lexicon.classes[name], self.world.word_shares[prompt.type][name]
        word = str(self.rng.choice(word_class.words, p=shares))
        decoy = word_class.decoys.get(word)
        if decoy is None or not self._chance(TIED):
            return f"{word} {self._one(otherwise)}" if otherwise else word
        return f"{decoy} {word}" if before else f"{word} {decoy}"

    def _noun(self, prompt: WorldPrompt) -> str:
        if not self._chance(0.5):
            return self._one(prompt.topic.nouns)
        return f"{prompt.colour} {prompt.noun}".strip()

    def _doing(self, prompt: WorldPrompt) -> str:
        return f"{self._one(prompt.topic.verbs)} {self._one(('it', 'that', 'this', 'them'))}"

    def _adjective(self) -> str:
        return self._one(self.lexicon.good if self._chance(0.5) else self.lexicon.bad)

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _one(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]
