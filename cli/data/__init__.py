"""`lorgnette data`: sets of rows made, converted, split and checked."""
