"""Time-frequency representations: one module each, named in the registry.

A module exposes ``Config`` (a :class:`~foley.features.representations.base.Settings`),
``represent(waveform, config)`` and ``to_magnitude(features, config)``. One that holds phases has
``to_phase(features, config)`` as well; one that makes sound without Griffin-Lim has
``to_waveform(features, config)`` in place of ``to_magnitude``, or, if it draws what it does not tell,
``from_noise(features, config, n_iterations=, generator=)``. One whose rows are levels at known
frequencies may say which in ``levels(config)``. Settings of a kind that is not made of the
short-time Fourier transform derive from ``ClipSettings``.
"""
