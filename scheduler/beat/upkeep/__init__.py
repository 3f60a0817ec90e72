"""What beat tidies up beside the schedule."""
