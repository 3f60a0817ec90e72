"""The commands for authors of connectors."""
