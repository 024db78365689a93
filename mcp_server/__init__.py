"""The door: tools over the Model Context Protocol. Importing this package loads nothing heavy."""
