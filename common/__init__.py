"""What every room stands on: the base error, files written whole, text made safe. It knows none of the rooms."""
