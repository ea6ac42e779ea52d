"""Runs, looked at in a browser."""
