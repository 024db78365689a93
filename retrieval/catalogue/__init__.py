"""The truth in one SQLite file: which files were read, which passages they hold, and how a damaged file is repaired."""
