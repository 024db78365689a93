"""`lorgnette install`, `uninstall` and the check of what a client starts."""
