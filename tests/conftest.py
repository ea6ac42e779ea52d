"""Loads the large libraries before the packages under test do.

A package that is imported with its types checked compiles whatever it imports anew, past the
compiled files that installation left: 10 seconds for each process of tests. The process that only
hands tests out to others needs none of them.
"""

import importlib

import pytest
from hypothesis import settings

# The same examples in every run: what failed once fails until it is put right.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

_LARGE = (
    "peft",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "transformers.generation",
    "trl",
)


def pytest_configure(config: pytest.Config) -> None:
    """Import them where tests will run."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        for name in _LARGE:
            importlib.import_module(name)
