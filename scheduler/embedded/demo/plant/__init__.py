"""The demo plant itself: its records, its life and what it remembers. Knows nothing of HTTP."""
