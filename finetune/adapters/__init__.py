"""Adapters on a model: which modules they hold, how they are attached, what they count."""
