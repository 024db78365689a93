"""A training: rows to batches, steps, checkpoints, log and report."""
