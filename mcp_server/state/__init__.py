"""What the server holds while it runs: the agent, jobs, limits, drawn pictures."""
