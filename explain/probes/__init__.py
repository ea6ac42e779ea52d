"""Probes: what happens to a target when one thing in a text is changed."""
