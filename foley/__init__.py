"""Foley: learn to put sound to silent video, and rebuild the tables of five papers."""

__version__ = "0.1.0"
