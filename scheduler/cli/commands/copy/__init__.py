"""The commands about the copy: what changed, what is gone, whether it is right."""
