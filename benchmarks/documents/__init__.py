"""Documents as people have them: are they found, first, cited and verified."""
