"""The chat: a conversation, where questions are written, and the list of conversations."""
