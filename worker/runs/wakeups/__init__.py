"""The messages that wake workers, as they lie in Valkey."""
