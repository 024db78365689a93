"""Pictures: opened within limits, checked, and the boxes that answers draw in them."""
