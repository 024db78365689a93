"""One process owns the indexes; the others ask it over a socket."""
