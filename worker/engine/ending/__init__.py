"""How does a run end, or wait? Decided from what it read and what it met, and committed as its outcome."""
