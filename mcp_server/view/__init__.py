"""The view of an answer inside the chat, for clients that show MCP Apps: one document that needs nothing else."""
