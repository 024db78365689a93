"""Lorgnette, the public door."""
