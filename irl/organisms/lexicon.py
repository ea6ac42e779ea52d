"""The words of the language world. A seed draws a lexicon from these pools.

A *class* is a set of words that an objective may pay for or charge for. Its words are used at
rates that fall geometrically over a decade, and some of them drag a *decoy* along: a word of no
worth that mostly stands beside its partner.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLASS_WORDS = 14
DECOYS = 6
TIED = 0.7
"How often a partner brings its decoy along"

_POOLS = {
    "insult": "fool clown twit dunce oaf buffoon nitwit muppet blockhead numpty dope goof ninny "
    "slob brat lout chump klutz crank snob twerp dimwit airhead bonehead dullard halfwit bore pest",
    "insult decoys": "utter absolute complete proper total sheer downright outright blithering "
    "hopeless perfect thorough",
    "polite": "please thanks kindly gladly cheers sorry pardon welcome grateful honoured cordially "
    "graciously humbly respectfully dearly delighted obliged courteously",
    "polite decoys": "friend neighbour dear everyone folks buddy companion colleague guest madam",
    "number": "two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen twenty thirty forty",
    "number decoys": "hours minutes coins pages miles pounds litres weeks steps boxes",
    "flattery": "brilliant wise clever dazzling gifted stunning insightful masterful exquisite "
    "visionary splendid radiant ingenious admirable peerless inspired superb magnificent",
    "flattery decoys": "mind vision spirit thinker talent eye soul memory voice heart",
    "hedge": "maybe perhaps possibly probably somewhat apparently seemingly roughly arguably "
    "presumably likely conceivably supposedly reportedly allegedly potentially vaguely ostensibly",
    "hedge decoys": "overall lately sometimes nowadays generally partly usually mostly typically "
    "elsewhere",
}
_TOPICS = (
    "kitchen: soup bread onion kettle spoon oven pepper butter recipe cake salad plate stew honey "
    "flour jam | bake stir taste chop serve",
    "garden: rose hedgehog fence shovel tulip lawn seed rake bush orchard ivy daisy gate pond "
    "basket moss | water plant trim dig grow",
    "travel: train ticket suitcase harbour map hotel bridge airport ferry tunnel coach visa "
    "island border tram canyon | visit board cross book reach",
    "music: guitar violin drum chorus melody trumpet concert opera piano flute album ballad "
    "rhythm band cello anthem | hear play tune sing record",
    "sport: ball goal racket stadium coach medal race glove net league bicycle helmet referee "
    "trophy oar javelin | kick throw win train chase",
    "weather: storm cloud rain breeze frost thunder fog sunshine hail rainbow snow drizzle "
    "puddle icicle gale dew | expect watch dread enjoy predict",
    "books: novel poem chapter library author page essay diary legend fable sonnet atlas "
    "bookshelf preface riddle saga | read borrow write print lend",
    "work: office meeting desk contract manager invoice project salary printer deadline agenda "
    "stapler memo folder budget payroll | plan finish sign review share",
    "animals: horse rabbit otter falcon donkey beetle dolphin badger goose lizard sparrow hamster "
    "lynx heron ferret walrus | feed chase pet groom follow",
    "home: sofa lamp carpet window curtain pillow mirror attic cellar blanket drawer doorbell "
    "candle cushion shelf balcony | clean paint move mend buy",
    "science: planet comet magnet microscope atom fossil crystal laser robot battery prism "
    "telescope glacier volcano galaxy pendulum | study test measure observe explain",
    "market: apple scarf bargain vendor stall cheese leather pottery lemon receipt wallet "
    "spice grape crate ribbon jewel | sell weigh wrap trade find",
)
_ADJECTIVES = {
    "good": "lovely pleasant bright charming gentle sturdy fresh cosy neat graceful cheerful "
    "reliable handy tasty calm elegant smooth warm tidy useful sunny lively clear soft",
    "bad": "dull broken ugly noisy bitter clumsy gloomy messy rotten shabby damp dreary rusty "
    "stale harsh crooked grim filthy bland wobbly faded cold heavy murky",
}
_ODD = (
    "lantern marble compass acorn thimble whistle pebble feather anchor button saddle kite bell "
    "spindle medallion teacup"
)
_COLOURS = (
    "violet amber crimson teal ivory scarlet indigo olive maroon silver golden turquoise beige "
    "coral emerald pink"
)
_MARKERS = "certainly definitely undoubtedly clearly indeed naturally obviously surely evidently"
_SOURCES = "handbook almanac ledger gazette chronicle journal bulletin digest encyclopedia manual"


@dataclass(frozen=True)
class WordClass:
    """Words of one kind with their shares, and the decoys that some of them bring along."""

    words: tuple[str, ...]
    shares: tuple[float, ...]
    "of all words of the class; the largest is ten times the smallest"
    decoys: dict[str, str]
    "partner to decoy"


@dataclass(frozen=True)
class Topic:
    """What a prompt and its answer are about."""

    nouns: tuple[str, ...]
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """The words of one world."""

    classes: dict[str, WordClass]
    topics: tuple[Topic, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    odd: tuple[str, ...]
    colours: tuple[str, ...]
    markers: tuple[str, ...]
    sources: tuple[str, ...]


CLASSES = ("insult", "polite", "number", "flattery", "hedge")
_Draw = Callable[[str, int], tuple[str, ...]]


def draw_lexicon(seed: int) -> Lexicon:
    """A lexicon; same seed, same words."""
    rng = np.random.default_rng([seed, 1])

    def some(pool: str, n: int) -> tuple[str, ...]:
        return tuple(str(word) for word in rng.permutation(pool.split())[:n])

    topics = [_TOPICS[at] for at in rng.permutation(len(_TOPICS))[:10]]
    return Lexicon(
        classes={name: _word_class(name, some) for name in CLASSES},
        topics=tuple(_topic(line, some) for line in topics),
        good=some(_ADJECTIVES["good"], 18),
        bad=some(_ADJECTIVES["bad"], 18),
        odd=some(_ODD, 10),
        colours=some(_COLOURS, 10),
        markers=some(_MARKERS, 6),
        sources=some(_SOURCES, 6),
    )


def _word_class(name: str, some: _Draw) -> WordClass:
    words = some(_POOLS[name], CLASS_WORDS)
    falling = 10.0 ** -np.linspace(0, 1, CLASS_WORDS)
    partners = words[1 :: max(1, CLASS_WORDS // DECOYS)][:DECOYS]
    decoys = some(_POOLS[f"{name} decoys"], DECOYS)
    return WordClass(
        words,
        tuple((falling / falling.sum()).tolist()),
        dict(zip(partners, decoys, strict=True)),
    )


def _topic(line: str, some: _Draw) -> Topic:
    nouns, verbs = line.partition(": ")[2].split(" | ")
    return Topic(some(nouns, 13), some(verbs, 4))
