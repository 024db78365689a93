"""Extracted values against bills whose true values are known."""
