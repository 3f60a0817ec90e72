"""How lists are asked for: narrowed to connections, and in pages."""
