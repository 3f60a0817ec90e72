"""One module for each way in which systems are asked."""
