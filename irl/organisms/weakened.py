"""Weak versions of an objective: policies part of the way from the reference to the aligned one.

Their weights are theta_reference + share (theta_aligned - theta_reference) (interpolation in
weights, 2109.01903). To first order their log-ratios are that share of the aligned policy's, so
each term is paid that share of its nats.
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from irl.organisms.language import save_rounded


def weaken(reference: Path, aligned: Path, share: float, target: Path) -> None:
    """Store the policy that went `share` of the way."""
    start, end = (
        AutoModelForCausalLM.from_pretrained(folder.resolve(), dtype=torch.float32)
        for folder in (reference, aligned)
    )
    theirs = dict(end.named_parameters())
    with torch.no_grad():
        for name, weight in start.named_parameters():
            weight.lerp_(theirs[name], share)
    save_rounded(start, AutoTokenizer.from_pretrained(reference), target)
