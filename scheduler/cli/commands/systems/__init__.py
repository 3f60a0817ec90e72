"""The commands about systems and their connectors."""
