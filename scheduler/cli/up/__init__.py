"""`headrace up`: everything with one command."""
