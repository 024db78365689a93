"""Whether pictures of every kind that people have are seen as they mean them, by every door."""
