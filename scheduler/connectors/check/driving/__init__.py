"""A connector driven as a worker drives it, into memory: the same plans, the same extractor, the same sender."""
