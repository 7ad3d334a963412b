"""Time-frequency representations: one module each, named in the registry.

A module exposes ``Config`` (a :class:`~foley.features.representations.base.Settings`),
``represent(waveform, config)`` and ``to_magnitude(features, config)``.
"""
