"""Webhooks as they come in, what became of what they told of, and whether systems send them at all."""
