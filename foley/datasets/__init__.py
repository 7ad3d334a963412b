"""Data sets: what exists, how it is acquired, checked, cut and split."""
