"""stdio and HTTP: how requests come in and answers go out."""
