"""What a training leaves to be read: its log, curves, sample answers and the report."""
