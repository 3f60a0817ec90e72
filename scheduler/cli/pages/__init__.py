"""The pages of docs/ that are written from code."""
