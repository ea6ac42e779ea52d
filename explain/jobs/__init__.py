"""Jobs of `explain`: with irl.jobs the only code that seeds, logs and writes."""
