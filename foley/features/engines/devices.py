"""GPUs: one for each job, or several small jobs on each.

Jobs run side by side, as many as ``--resources gpu=4`` says, and none knows of the others. Each takes a
place on a GPU by a lock file, and keeps it as long as it lives; where there are more jobs than GPUs,
those with the fewest jobs come first.
"""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from io import TextIOWrapper
from pathlib import Path

from foley.errors import ConfigError
from foley.store.files import try_lock

_MOST_PLACES = 16


def gpus_there() -> int:
    """Number of GPUs that torch can use."""
    import torch

    return torch.cuda.device_count()


def device_for_job(device: str, n_gpus: Callable[[], int] = gpus_there) -> str:
    """Resolve ``cuda`` to the GPU that the fewest jobs of this user work on.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` (any free one) or ``cuda:<index>`` (that one).
    n_gpus : callable
        Number of GPUs.

    Returns
    -------
    str
        ``cpu`` or ``cuda:<index>``. With more jobs than GPUs, they share them evenly.

    Raises
    ------
    ConfigError
        If the device is not there.
    """
    if device == "cpu":
        return device
    kind, _, index = device.partition(":")
    n_there = n_gpus()
    if kind != "cuda" or (index and not index.isdigit()) or int(index or 0) >= n_there:
        raise ConfigError(
            f"device {device!r} is not there ({n_there} GPUs found); set device: cpu, or use a machine with "
            "a GPU and a CUDA build of torch"
        )
    return device if index else f"cuda:{_claim(n_there)[0]}"


@cache
def _claim(n_gpus: int) -> tuple[int, TextIOWrapper | None]:
    """Lock a place on a GPU for the life of this process; the open file holds the lock.

    All first places are given before any second, so that jobs are spread evenly.
    """
    for place in range(_MOST_PLACES):
        for index in range(n_gpus):
            path = Path(tempfile.gettempdir()) / f"foley-{os.getuid()}-gpu{index}-{place}.lock"
            file = path.open("w")
            if try_lock(file.fileno()):
                return index, file
            file.close()
    return os.getpid() % n_gpus, None
