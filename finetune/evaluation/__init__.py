"""Asks a model rows whose answers are known, and measures what comes back."""
