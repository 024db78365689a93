"""From a query to passages: fusion, relevance, reranking, and what a citation is held against."""
