"""What becomes of a question with any server and any model: `python -m benchmarks.any_model`."""
