"""What a manifest says of a system's webhooks: how they are proved, what they tell of, how they are registered."""
