"""Whether what was extracted stands there: words on pages, values among them, labels beside them."""
