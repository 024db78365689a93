"""One module a format: each turns a row into a sample. None of them opens a data file."""

FORMATS = ("csv", "sharegpt", "alpaca", "messages", "qwen", "coco", "openeqa", "vqa")
"""What can be read."""
WRITABLE = ("sharegpt", "messages", "alpaca", "qwen", "csv")
"""What can be written, too."""
