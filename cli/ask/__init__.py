"""`lorgnette ask`: the question, and how its answer is drawn."""
