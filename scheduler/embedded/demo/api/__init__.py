"""What the demo system answers over HTTP."""
