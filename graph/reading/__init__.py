"""What is read out of what models and users wrote: decisions, JSON, the wish to save."""
