"""What clients can read: documents, passages, sessions, the server's state."""
