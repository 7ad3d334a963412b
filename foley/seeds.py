"""Random numbers: every generator is made here, from the configured seed and a name."""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: object) -> int:
    """Make a 63-bit seed that depends on `seed` and on every name, in order.

    Examples
    --------
    >>> derive_seed(1, "clip", 7) == derive_seed(1, "clip", 7)
    True
    >>> derive_seed(1, "clip", 7) == derive_seed(1, "clip", 8)
    False
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: object) -> np.random.Generator:
    """Make a NumPy generator from the configured `seed` and a name path."""
    return np.random.default_rng(derive_seed(seed, *names))
