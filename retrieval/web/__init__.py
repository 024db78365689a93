"""Documents from addresses, fetched safely and fetched again."""
