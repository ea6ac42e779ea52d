"""What the README shows runs as it stands."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.irl.test_samples_recovery import preferences, samples

README = Path(__file__).resolve().parents[1] / "README.md"


def block_with(text: str) -> str:
    """The indented block of the README that holds a text."""
    blocks = re.split(r"\n(?=[^\s])", README.read_text(encoding="utf-8"))
    (found,) = [block for block in blocks if re.search(rf"^    .*{re.escape(text)}", block, re.M)]
    lines = [line for line in found.splitlines() if line.startswith("    ") or not line.strip()]
    return textwrap.dedent("\n".join(lines))


@pytest.mark.slow
def test_the_script_recovers_a_reward_and_scores_new_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    samples(tmp_path)
    Path(preferences(tmp_path)).rename("pairs.jsonl")
    script = block_with("from irl import recover")
    assert len(script.strip().splitlines()) <= 15
    exec(compile(script, "README.md", "exec"), {})
    accuracy, *scores = capsys.readouterr().out.splitlines()
    mean, flips = map(float, accuracy.split())
    assert (mean > 0.8, flips) == (True, 0)
    values = [float(line.split()[0]) for line in scores]
    assert len(values) == 2
    assert values[1] < values[0], "the samples charge for idiot"
