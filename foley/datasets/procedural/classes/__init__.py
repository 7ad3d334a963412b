"""One module a sound class; each stages one random performance."""
