"""Versions of installed distributions, read from their metadata; nothing is imported for it."""

import importlib.metadata

MISSING = "not installed"


def version(distribution: str) -> str:
    """Return the installed version, or `MISSING`."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return MISSING


def own_version() -> str:
    """Return Lorgnette's version; a checkout that was never installed has none."""
    found = version("lorgnette")
    return "0+checkout" if found == MISSING else found
