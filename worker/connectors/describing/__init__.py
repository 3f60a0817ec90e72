"""What does a connection say of its own system, over what the manifest says? Its setting `describe`, in the manifest's words."""

DESCRIBE = "describe"
"""The setting's name."""
