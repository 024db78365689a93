"""The embedders behind `retrieval.embed`, one a module; each imports its engine when it is opened."""
