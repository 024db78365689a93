"""One copy of the model for several processes of one user."""
