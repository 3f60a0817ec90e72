"""The commands that ask whether the copy is right."""
