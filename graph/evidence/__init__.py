"""What an answer rests on: passages as evidence, their citations, and the pictures of their pages."""
