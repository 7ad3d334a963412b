"""The batch size that suits a machine."""

import os
import time
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import torch

from foley.features.engines import Run

_SHARE_OF_MEMORY = 0.25
_MOST = 1024
_WORTHWHILE = 1.03
"""A larger batch has to be this much faster to be preferred."""


def find_batch_size(pictures_per_s: Callable[[int], float | None], most: int) -> int:
    """Double the batch as long as it pays.

    Parameters
    ----------
    pictures_per_s : callable
        Speed at a batch size; None if it does not fit into memory.
    most : int
        Never larger than this.

    Returns
    -------
    int
        A power of two; of two sizes that are about as fast, the smaller one.

    Examples
    --------
    >>> find_batch_size({1: 10.0, 2: 19.0, 4: 30.0, 8: 30.1, 16: 30.2, 32: 99.0}.get, 1024)
    4
    >>> find_batch_size({1: 10.0, 2: 19.0, 4: 30.0}.get, 2)
    2
    """
    best, best_rate, size = 1, 0.0, 1
    while size <= most and size <= 4 * best:  # two sizes without a gain are enough
        rate = pictures_per_s(size)
        if rate is None:
            break
        if rate > _WORTHWHILE * best_rate:
            best, best_rate = size, rate
        size *= 2
    return best


def speed_of(prepare: Callable[[int], Run], shape: tuple[int, int, int]) -> Callable[[int], float | None]:
    """Speed of an engine on pictures (height, width, channels) by the batch size, measured when called."""

    def pictures_per_s(size: int) -> float | None:
        try:
            run = prepare(size)
            pictures = np.full((size, *shape), 127, dtype=np.uint8)
            run(pictures)
            best_s = np.inf
            for _ in range(2):
                start_s = time.perf_counter()
                run(pictures)
                best_s = min(best_s, time.perf_counter() - start_s)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            return None
        return size / best_s

    return pictures_per_s


def largest_batch(network: torch.nn.Module, shape: tuple[int, int, int], device: str) -> int:
    """Batch size whose activations fit into a quarter of the free memory, if none were ever freed."""
    each = activation_bytes(network, shape)
    return int(np.clip(_SHARE_OF_MEMORY * free_bytes(device) // each, 1, _MOST))


def activation_bytes(network: torch.nn.Module, shape: tuple[int, int, int]) -> int:
    """Float32 bytes of everything that the network's layers put out for one picture."""
    sizes: list[int] = []

    def note(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        sizes.append(output.numel() * 4)

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
    try:
        place = next(chain(network.parameters(), network.buffers())).device
        with torch.inference_mode():
            network(torch.zeros((1, *shape), dtype=torch.uint8, device=place))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(sizes)


def free_bytes(device: str) -> int:
    """Memory that is free now, of the machine or of the GPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
