"""The embedded data set: rendered clips with synchronous sound and exact event times."""
