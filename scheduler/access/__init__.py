"""Who may come in, and what may they do? Tokens, what they allow, and the record of what was done with them."""
