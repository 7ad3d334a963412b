"""PEAQ, basic version: how much worse than a reference a listener would rate a sound.

The perceptual evaluation of audio quality of ITU-R BS.1387-1, in NumPy: a model of the ear that works on
Fourier transforms, eleven model output variables (MOVs), and a small neural network that turns them into
the objective difference grade (ODG) from 0, imperceptible, to -4, very annoying. What it was checked
against, and that it is not certified, is written in ``docs/peaq.md``. Nothing here knows of the rest of
the package.

Where the Recommendation is silent or contradicts itself, this follows P. Kabal, "An examination and
interpretation of ITU-R BS.1387", McGill University, 2002, and the choices of his own program.

Examples
--------
A sound against itself; full-band music gives 0.21, a sound that lacks frequencies a little less.

>>> import numpy as np
>>> sound = 0.1 * np.random.default_rng(0).standard_normal(48000)
>>> bool(0.1 < peaq_basic(sound, sound, 48000).odg < 0.22)
True
"""

from foley.metrics.peaq.basic import PeaqResult, peaq_basic
from foley.metrics.peaq.movs import Movs

__all__ = ["Movs", "PeaqResult", "peaq_basic"]
