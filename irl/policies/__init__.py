"""The one door to transformers and peft: load, pair, encode, sample, examine."""
