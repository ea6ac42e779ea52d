"""Loads the large libraries before the packages under test do.

A package that is imported with its types checked compiles whatever it imports anew, past the
compiled files that installation left: 10 seconds for each process of tests.
"""

import peft
import scipy.stats
import sklearn.feature_extraction.text
import transformers.generation
import trl

__all__ = ["peft", "scipy", "sklearn", "transformers", "trl"]
