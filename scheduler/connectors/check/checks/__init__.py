"""The checks, by what they are about. Each has a stable name and a sentence that says the promise."""
