"""The webhooks that the demo system sends when its records change."""
