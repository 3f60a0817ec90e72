"""What goes out: the change feed, subscriptions to it, and the unified models that are read along it."""
