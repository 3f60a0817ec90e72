"""Who stands at the door? From which address, how often they guessed, and with which session."""
