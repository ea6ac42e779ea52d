"""One file per job: the only code that seeds, logs and writes."""
