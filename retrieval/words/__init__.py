"""What words a language has, what its compounds are made of, and where one ends. It knows no passage and no index."""
