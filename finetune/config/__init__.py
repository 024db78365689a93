"""The configuration of a training: its schema, how it is read, and LLaMA-Factory's keys."""
