"""Ensembles of rewards: their preferences, and their members."""
