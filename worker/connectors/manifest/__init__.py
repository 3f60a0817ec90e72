"""What a manifest can say: its schema, its parts as data classes, its reference."""
