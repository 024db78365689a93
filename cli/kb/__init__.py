"""`lorgnette kb` and `lorgnette search`: the documents."""
