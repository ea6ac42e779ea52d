"""Benchmarks: ratios of two ways of doing the same, measured side by side in one process."""
