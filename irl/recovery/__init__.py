"""One file per method that fits an explicit reward."""
