"""The board of training: data, configuration, runs."""
