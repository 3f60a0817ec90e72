"""Events of webhooks: what they ask for, how many of them are one look at a record, and what became of each."""
