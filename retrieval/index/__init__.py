"""What is derived from the catalogue and can be made again: the vectors, the words, and how both catch up."""
