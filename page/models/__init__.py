"""The view of models and adapters."""
