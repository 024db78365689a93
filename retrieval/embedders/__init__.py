"""The embedders behind `retrieval.embedders.open`, one a module; each imports its engine when it is opened."""
