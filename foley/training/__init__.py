"""One training loop for every system."""
