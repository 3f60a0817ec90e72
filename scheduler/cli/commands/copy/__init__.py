"""The commands about the copy itself: read it, take it along, look at what it takes, erase from it."""
