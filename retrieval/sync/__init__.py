"""Brings a folder into the catalogue."""
