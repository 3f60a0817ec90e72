"""Runs as people and programs ask for them: which there are, new ones, how long they wait, how far streams are read."""
