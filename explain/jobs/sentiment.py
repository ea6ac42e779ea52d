"""The maker of explain/stock/sentiment.json: a linear model on words, kept as coefficients.

    python -c "from pathlib import Path
    from explain.jobs.sentiment import make_sentiment
    make_sentiment(Path('sentence_polarity_10k.parquet'))"

The file needs the columns `text` and `label` (1 praise, 0 blame); the tracked one was made from the
10,662 sentences of film reviews of Pang and Lee (2005). Of the text no more is kept than single
words that occur in many sentences.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from explain.aspect_kinds import SENTIMENT
from irl.errors import InputError
from irl.rewards.words import words
from irl.runs import write_text

MIN_SENTENCES: Final = 12
"that hold a word, so that names and rare words are left out"
HELD_OUT_SHARE: Final = 0.2
PENALTY: Final = 0.3
"Inverse strength, as in scikit-learn"
MIN_WEIGHT: Final = 0.1
"Words of smaller weight are left out"
LETTERS: Final = re.compile(r"[a-z']+")
SOURCE: Final = "sentence polarity of Pang and Lee (2005), CC-BY-4.0 in the index of NLTK"


def make_sentiment(text: Path, to: Path = SENTIMENT) -> float:
    """Fit, drop what hardly weighs, and write the coefficients; the accuracy on held-out rows.

    Raises:
        InputError: the file lacks `text` and `label`.
    """
    try:
        table = pq.read_table(text, columns=["text", "label"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{text} cannot be read as Parquet with text and label ({error})."
        ) from None
    said, label = table["text"].to_pylist(), table["label"].to_numpy().astype(np.int64)
    held_out = np.random.default_rng(0).random(len(said)) < HELD_OUT_SHARE
    weights, intercept = _fitted([said[at] for at in np.flatnonzero(~held_out)], label[~held_out])
    scores = [
        intercept + sum(weights.get(word, 0.0) for word in words(said[at]))
        for at in np.flatnonzero(held_out)
    ]
    accuracy = float(((np.array(scores) > 0) == label[held_out]).mean())
    document = {
        "about": "log-odds that a sentence of a film review praises, by the words in it",
        "made_by": "explain/jobs/sentiment.py",
        "trained_on": f"{int((~held_out).sum())} rows of the {SOURCE}",
        "held_out_accuracy": round(accuracy, 4),
        "held_out_rows": int(held_out.sum()),
        "intercept": round(intercept, 3),
        "weights": dict(sorted(weights.items())),
    }
    write_text(to, json.dumps(document, ensure_ascii=False, indent=0) + "\n")
    return accuracy


def _fitted(texts: Sequence[str], label: NDArray[np.int64]) -> tuple[dict[str, float], float]:
    """The weights of words that weigh, and the intercept."""
    counter = CountVectorizer(analyzer=words, binary=True, min_df=MIN_SENTENCES)
    model = LogisticRegression(C=PENALTY, max_iter=2000)
    model.fit(counter.fit_transform(texts), label)
    pairs = zip(counter.get_feature_names_out(), model.coef_[0], strict=True)
    weights = {
        str(word): round(float(weight), 2)
        for word, weight in pairs
        if abs(weight) >= MIN_WEIGHT and LETTERS.fullmatch(word)
    }
    return weights, float(model.intercept_[0])
