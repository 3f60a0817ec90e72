"""The commands about who may come in."""
