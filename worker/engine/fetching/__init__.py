"""Asks for pages before they are due: how many at once, how much of them in memory, and how large."""
