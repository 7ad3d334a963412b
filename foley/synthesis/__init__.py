"""From predicted features to waveforms."""
