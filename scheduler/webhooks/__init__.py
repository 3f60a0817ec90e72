"""How do webhooks come in? Proved, stored before they are answered, and their runs asked for in the same commit."""
