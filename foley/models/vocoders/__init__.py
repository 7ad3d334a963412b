"""Networks that turn spectrograms into sound."""
