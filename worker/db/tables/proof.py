"""What comparisons with the source found, and which fields its records have."""
