"""A model behind an OpenAI-compatible address, or in another process of this machine."""
