"""Rows that are drawn: scenes, questions about them, passages, and the agent's own protocol."""
