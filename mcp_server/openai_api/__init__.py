"""The model as an OpenAI-compatible endpoint."""
