"""The foley command."""
