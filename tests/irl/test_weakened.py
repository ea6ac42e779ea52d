"""Weak versions of an objective lie on the line between two policies."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from irl.organisms.weakened import weaken
from tests.fakes import model, save


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_weakened_policy_lies_on_the_line_between_the_two(tmp_path: Path, share: float):
    for seed, name in enumerate(("reference", "aligned")):
        save(model(seed=seed), tmp_path / name)
    weaken(tmp_path / "reference", tmp_path / "aligned", share, tmp_path / "weak")
    start, end, found = (weights(tmp_path / name) for name in ("reference", "aligned", "weak"))
    for name, weight in found.items():
        expected = start[name] + share * (end[name] - start[name])
        torch.testing.assert_close(weight, expected, atol=1e-3, rtol=1e-3)
    assert any((start[name] != end[name]).any() for name in start)
