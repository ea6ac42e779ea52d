"""Prompts in groups: every prompt in one, by what is known of it."""

from explain.prompt_groups import MIN_PROMPTS, MOST_TYPES, Grouping, asked, groupings
from irl.records import PromptCondition
from irl.rewards.conditions import TypedPrompt

CHAT = '[{"role": "system", "content": "be"}, {"role": "user", "content": "Why is it red?"}]'


def members(way: Grouping) -> dict[str, list[int]]:
    """The prompts of each group, by number."""
    found: dict[str, list[int]] = {label: [] for label in way.labels}
    for prompt, at in enumerate(way.group):
        found[way.labels[at]].append(prompt)
    return {label: here for label, here in found.items() if here}


def plain(*texts: str) -> list[TypedPrompt]:
    return [TypedPrompt(text) for text in texts]


def test_of_a_chat_only_what_the_user_says_counts():
    assert asked(CHAT, "question") == TypedPrompt("Why is it red?", "question")
    for text in ("[{ not json", '[{"role": "user"}]', "[1]", "why?"):
        assert asked(text) == TypedPrompt(text)


def test_types_are_groups_the_commonest_first_and_rare_ones_share_one():
    typed = [TypedPrompt("a", kind) for kind in ("x", "y", "y", None)]
    assert members(groupings(typed, [])["type"]) == {"y": [1, 2], "x": [0], "no type": [3]}
    many = [TypedPrompt("a", str(at)) for at in range(MOST_TYPES + 3)]
    way = groupings(many, [])["type"]
    assert len(way.labels) == MOST_TYPES + 1
    assert len(members(way)["others"]) == 3


def test_prompts_are_set_apart_where_an_objective_applies():
    red = PromptCondition(prompt_contains="red")
    way = groupings(plain("a red hat", "reddish", "Red?"), [red])["condition"]
    assert members(way) == {"the prompt contains red": [0, 2], "elsewhere": [1]}
    assert "condition" not in groupings(plain("a", "b"), [red])


def test_quarters_of_length_hold_as_many_as_ties_allow():
    lengths = [*range(1, 9)]
    way = groupings(plain(*("a " * n for n in lengths)), [])["length"]
    found = {label: [lengths[at] for at in here] for label, here in members(way).items()}
    assert found == {
        "1 to 3 words": [1, 2, 3],
        "4 to 5 words": [4, 5],
        "6 to 7 words": [6, 7],
        "8 words": [8],
    }
    tied = groupings(plain("a", "a", "a", "a", "a a"), [])["length"]
    assert members(tied) == {"1 word": [0, 1, 2, 3], "2 words": [4]}
    assert "length" not in groupings(plain("a", "b"), [])


def test_first_words_are_groups_where_enough_prompts_begin_so():
    texts = ["What now?"] * MIN_PROMPTS + ["why"] * (MIN_PROMPTS - 1) + [""]
    way = groupings(plain(*texts), [])["first word"]
    here = members(way)
    assert here["“what”"] == list(range(MIN_PROMPTS))
    assert len(here["others"]) == MIN_PROMPTS
    assert "first word" not in groupings(plain("why", "why not"), [])


def test_no_prompts_make_no_groups():
    assert groupings([], []) == {}
