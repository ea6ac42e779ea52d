"""aspects.yaml: what is read, what is refused and how it is said."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from explain.aspect_files import STOCK, read_aspects
from explain.aspect_kinds import KEYS, SENTIMENT
from explain.aspect_measures import measured
from explain.exchange import Exchange
from irl.errors import InputError

NAMES = "length sentences questions exclamation politeness hedging insults numbers refusal flattery"
EVERY_KIND = """
- {name: length, kind: length, of: characters}
- {name: questions, kind: regex, pattern: '[?]', ignore_case: true, at_most_once: true}
- {name: thanks, kind: lexicon, terms: [thank you], unit: expression of thanks}
- {name: refusal, kind: refusal, phrases: [no way], within_words: 3}
- {name: mood, kind: sentiment, coefficients: mine.json}
- {name: again, kind: repetition, run: 1}
- {name: tone, kind: callable, function: 'my_tone_module:tone', unit: point}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "aspects.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_stock_set_ships_and_holds_no_code():
    assert read_aspects().names[:10] == NAMES.split()
    assert "callable" not in STOCK.read_text(encoding="utf-8")


def test_the_sentiment_model_says_how_good_it_is_and_holds_single_words_only():
    document = json.loads(SENTIMENT.read_text(encoding="utf-8"))
    assert 0.7 < document["held_out_accuracy"] < 0.8
    assert document["held_out_rows"] > 2000
    assert all(" " not in word and word.isascii() for word in document["weights"])
    assert document["weights"]["wonderful"] > 0 > document["weights"]["boring"]
    assert SENTIMENT.stat().st_size < 100_000


def test_a_file_may_declare_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine.json").write_text('{"weights": {"good": 2}}', encoding="utf-8")
    code = "def tone(exchanges):\n    return [len(e.prompt) for e in exchanges]\n"
    (tmp_path / "my_tone_module.py").write_text(code, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "my_tone_module", raising=False)
    path = list(sys.path)
    declared = read_aspects(written(tmp_path, EVERY_KIND), allow_code=True)
    assert sys.path == path
    (values,) = measured(
        declared.aspects, [Exchange("prompt", "No way! Thank you? A good, good dog.")]
    )
    assert values.tolist() == [36, 1, 1, 1, 4, 1, 6]
    units = ["character", "response with a match", "expression of thanks", "refusing response"]
    assert declared.units == [*units, "log-odds of praise", "repeated run of 1 words", "point"]
    assert set(KEYS) == set(re.findall(r"kind: (\w+)", EVERY_KIND))


def test_code_is_not_run_without_leave(tmp_path: Path):
    (tmp_path / "wicked_module.py").write_text("raise SystemExit(9)\n", encoding="utf-8")
    file = written(tmp_path, "- {name: t, kind: callable, function: 'wicked_module:f'}\n")
    with pytest.raises(InputError, match=r"runs Python code \(wicked_module:f\).*--allow-code"):
        read_aspects(file)
    assert "wicked_module" not in sys.modules


def test_the_hash_covers_what_the_file_names(tmp_path: Path):
    file = written(tmp_path, "- {name: mood, kind: sentiment, coefficients: mine.json}\n")
    hashes = set()
    for weight in (1, 2):
        text = json.dumps({"weights": {"good": weight}})
        (tmp_path / "mine.json").write_text(text, encoding="utf-8")
        hashes.add(read_aspects(file).sha256)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file: .* it holds a list"),
        ("name: a", "the file: .* it holds a list"),
        ("[]", "at least 1 item"),
        ("- 3", "aspect 1: .*name: "),
        (": :\n - x", "cannot be read as YAML"),
        ("- {name: a}", "aspect 1 names no kind; one of regex"),
        ("- {name: a, kind: mood}", "aspect 1 is of the unknown kind mood; one of regex"),
        ("- {kind: length}", "aspect 1 lacks the key name"),
        ("- {name: a, kind: regex}", "aspect 1 lacks the key pattern"),
        ("- {name: a, kind: length, part: words}", "the unknown key part; length knows name, unit"),
        ("- {name: a, kind: length, off: words}", "not False; put it in quotes"),
        ("- {name: a, kind: length, of: bytes}", "aspect 1, of: .*'words'.*not 'bytes'"),
        ("- {name: a, kind: regex, pattern: '(a'}", "no regular expression.*position 0"),
        ("- {name: a, kind: regex, pattern: 'a*'}", "matches where there is nothing"),
        ("- {name: a, kind: lexicon, terms: []}", "terms: list should have at least 1"),
        ("- {name: a, kind: lexicon, terms: [no]}", "terms.0: .*not False; put it in quotes"),
        ("- {name: a, kind: lexicon, terms: ['!']}", "'!' has no word; kind: regex"),
        ("- {name: a, kind: refusal, phrases: ['?']}", "has no word"),
        ("- {name: a, kind: refusal, within_words: 0}", "greater than or equal to 1, not 0"),
        ("- {name: a, kind: repetition, run: true}", "valid integer, not True"),
        ("- {name: a.b, kind: length}", "name: .*not 'a.b'"),
        ("- {name: response_id, kind: length}", "rename the aspect"),
        ("- {name: a, kind: length}\n- {name: a, kind: refusal}", "the name a stands twice"),
        ("- {name: a, kind: sentiment, coefficients: gone.json}", "gone.json cannot be read"),
        ("- {name: a, kind: sentiment, coefficients: aspects.yaml}", "not JSON of the form"),
        ("- {name: a, kind: callable, function: open}", "function: .*not 'open'"),
        ("- {name: a, kind: callable, function: 'no_such_module:f'}", "cannot be imported"),
        ("- {name: a, kind: callable, function: 'math:no_such'}", "cannot be imported"),
        ("- {name: a, kind: callable, function: 'math:pi'}", "math:pi is not a function"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, text: str, words: str):
    with pytest.raises(InputError, match=f"aspects.yaml.*{words}"):
        read_aspects(written(tmp_path, text), allow_code=True)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"gone.yaml cannot be read .*No such file"):
        read_aspects(tmp_path / "gone.yaml")


@pytest.mark.slow
def test_reading_aspects_loads_no_torch(tmp_path: Path):
    code = "import sys; from explain.jobs import aspects; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "False"
