"""Pairs whose truth is known."""
