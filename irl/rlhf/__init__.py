"""What a reward is worth when a policy is chosen by it: best-of-n, over-optimisation."""
