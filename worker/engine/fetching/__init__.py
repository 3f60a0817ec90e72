"""Asks for pages before they are due, and hands them out in order: how many at once, how much of them in memory, how large."""
