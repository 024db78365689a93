"""In which words and which language a model is asked, and how a whole conversation looks."""
