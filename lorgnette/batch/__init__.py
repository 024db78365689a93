"""Many questions at once: their rows, the order of work, and the file that their answers go into."""
