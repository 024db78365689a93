"""The programs that start the server: where they keep its entry, and how it is written."""
