"""What is done with connectors beside running them: making, trying and checking them."""
