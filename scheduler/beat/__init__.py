"""Beat: decides when. Run as many as you like."""
