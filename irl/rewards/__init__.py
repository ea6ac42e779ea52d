"""Reward functions of text."""
