"""What the program says about itself: logs, redaction, the steps of a run."""
