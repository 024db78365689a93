"""Lorgnette's picture of itself, which clients show beside its name: drawn once, and short enough to be sent along."""

from mcp.types import Icon

# A pair of round glasses on a handle: 32 x 32 pixels, one bit each, blue on nothing.
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEX///9AYKCWc5bxAAAAAXRSTlMAQObYZgAAAHJJREFUeNpdjDEOgkAURB/z"
    "DWthQagsSJYjYG9BYeGhKDiEB/w3cGO1qEEKIiZO9SYvM/CX0SCk6Doe2kpTfbrSld6oLzwpvUHAU7DSXhXMdKU31t6nB3E4Z0KO2ebL7bX79GR9"
    "v32bISjWamDxJ4CwESyQCBrBzJJwKwAAAABJRU5ErkJggg=="
)
ICON = Icon(src=f"data:image/png;base64,{_PNG}", mime_type="image/png", sizes=["32x32"])
