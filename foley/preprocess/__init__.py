"""From raw media to clips, interpolated frames and space-time images."""
