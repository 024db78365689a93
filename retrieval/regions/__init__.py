"""Where the words of a passage stand: rectangles on a page, or the name of the nearest thing there is."""
