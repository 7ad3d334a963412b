"""Scores: arrays in, numbers with confidence intervals out."""
