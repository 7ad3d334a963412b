"""Engines that run an image network: PyTorch (any device) and OpenVINO (CPU).

An engine takes a network of :mod:`foley.features.backbones` and gives a function of the batch size:
``prepare(network, ...)(batch_size)`` is a :data:`Run`, from uint8 (batch_size, px, px, n_channels)
to float32 (batch_size, dim): 3 channels are RGB, 2 are optical flow.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Precision = Literal["float32", "bfloat16", "float16", "int8"]
"""What an engine computes in."""
