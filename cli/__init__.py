"""The command line `lorgnette`. Importing this package loads nothing heavy."""
