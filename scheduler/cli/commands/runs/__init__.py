"""The commands about runs: ask for them, look at them, see how far they have come."""
