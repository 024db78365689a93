"""The memory: a folder becomes a catalogue (the truth), projections of it, and passages that can be verified."""
