from explain.glossary import MEANINGS, meaning


def test_the_first_term_in_a_label_counts_and_of_several_there_the_longest():
    assert meaning("reward, nats") == MEANINGS["reward"]
    assert meaning("true reward, nats") == MEANINGS["true reward"]
    assert meaning("KL(aligned ‖ reference), nats per response") == MEANINGS["KL"]
    assert meaning("tokens per answer") == MEANINGS["tokens"]
    assert meaning("value gained, nats per token") == MEANINGS["value gained"]


def test_parts_of_words_and_other_cases_of_abbreviations_do_not_count():
    assert meaning("rewarding") is None
    assert meaning("Weight, nats") == MEANINGS["weight"]
    assert meaning("auc") is None
    assert meaning("created") is None


def test_meanings_are_sentences():
    for term, sentence in MEANINGS.items():
        assert sentence.endswith("."), term
        assert sentence[0].isupper() or sentence[0].isdigit() or sentence.startswith("ln"), term
