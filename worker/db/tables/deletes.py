"""What a sweep saw, and what is missing since."""
