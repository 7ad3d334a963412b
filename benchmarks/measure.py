"""What every benchmark measures, and how it is printed.

CPU time is that of the process and of the programs it ran; peak memory is the resident set. Seconds
differ from machine to machine and from day to day: benchmarks print ratios of what ran side by side,
and shares of what a large matrix product reaches on the same device.
"""

import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")

_FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


@dataclass(frozen=True)
class Cost:
    """What a piece of work took.

    Parameters
    ----------
    wall_s, cpu_s : float
        Seconds on the clock; CPU-seconds, user and system, of the process and its children.
    peak_mib : float
        Largest resident set while it ran, of the process or of a child, whichever was larger.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """One after the other: times add up, the larger peak counts."""
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mib, other.peak_mib))

    def times(self, factor: float) -> "Cost":
        """The same work `factor` times over: for extrapolation."""
        return Cost(factor * self.wall_s, factor * self.cpu_s, self.peak_mib)


def measure(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, Cost]:
    """Run a function here and say what it took.

    The peak counts what the process held before, too, and the largest child it ever had; use
    :func:`measure_alone` where that matters.
    """
    _reset_peak()
    cpu_s, wall_s = cpu_seconds(), time.perf_counter()
    result = function(*args, **kwargs)
    return result, Cost(time.perf_counter() - wall_s, cpu_seconds() - cpu_s, peak_mib())


def measure_alone(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, Cost]:
    """Run a function in a fresh process and say what it took; starting the process is not counted.

    The function, its arguments and its result must be picklable.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, function, *args, **kwargs).result()  # type: ignore[arg-type]


def cpu_seconds() -> float:
    """CPU time of this process and of the children it has waited for, user and system, seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def peak_mib() -> float:
    """Largest resident set so far, of this process or of a child, MiB."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux: the peak cannot be reset either
        return max(children, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    lines = (line.split() for line in status.read_text().splitlines())
    return max(children, next(int(parts[1]) for parts in lines if parts[0] == "VmHWM:") / 1024)


def _reset_peak() -> None:
    control = Path("/proc/self/clear_refs")
    if os.access(control, os.W_OK):
        control.write_text("5")


def matmul_flops(
    precision: str = "float32", *, device: str = "cpu", n_threads: int = 1, side: int = 2048, repeats: int = 5
) -> float:
    """Floating-point operations per second of a large square matrix product: the roofline.

    Parameters
    ----------
    precision : str
        ``float32``, ``bfloat16`` or ``float16``.
    device : str
        ``cpu`` or ``cuda``.
    n_threads : int
        Threads on the CPU.
    side : int
        Rows and columns.
    repeats : int
        The fastest of this many counts: anything slower was disturbed.

    Returns
    -------
    float
        FLOP/s; in fp32 on the CPU the better of PyTorch's and NumPy's.
    """
    import torch

    torch.set_num_threads(n_threads)
    if device != "cpu":
        side *= 4
    a, b = (torch.rand(side, side).to(device, getattr(torch, precision)) for _ in range(2))

    def by_torch() -> None:
        a @ b
        if device != "cpu":
            torch.cuda.synchronize()

    products: list[Callable[[], Any]] = [by_torch]
    if device == "cpu" and precision == "float32" and n_threads == 1:
        c, d = a.numpy(), b.numpy()
        products.append(lambda: np.matmul(c, d))
    # On the CPU the processor's own time counts: other programs on the machine must not lower the roof.
    clock = time.perf_counter if device != "cpu" else lambda: time.process_time() / n_threads
    return 2 * side**3 / min(fastest(product, repeats, clock) for product in products)


def fastest(
    function: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Shortest time of several runs after one that warms up, seconds of `clock`."""
    function()
    taken = []
    for _ in range(repeats):
        start_s = clock()
        function()
        taken.append(clock() - start_s)
    return min(taken)


def table(header: Sequence[str], rows: Sequence[Sequence[str | float | int]]) -> str:
    """Lay out a Markdown table; numbers get three significant digits.

    Examples
    --------
    >>> print(table(["stage", "CPU s"], [["decode", 0.12345], ["CNN", 1234.5]]))
    | stage | CPU s |
    |---|---|
    | decode | 0.123 |
    | CNN | 1230 |
    """
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_shown(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value: str | float | int) -> str:
    if isinstance(value, str | int):
        return str(value)
    if value == 0 or not np.isfinite(value):
        return f"{value:.0f}"
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return f"{round(value, digits):.{max(0, digits)}f}"


def machine() -> str:
    """One line about this machine: the day, the CPU, what it is quick at, how many cores.

    Examples
    --------
    >>> machine().count(";") >= 2
    True
    """
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = values.get("model name", platform.processor() or platform.machine())
    found = [flag for flag in _FLAGS if flag in values.get("flags", "").split()]
    used = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}; {model} ({', '.join(found) or 'no vector flags known'}); {used}"
    )
