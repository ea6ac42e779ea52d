"""Orders, batches and stores the work."""
