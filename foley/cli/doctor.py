"""``foley doctor``: what this machine has and lacks, and what to do about it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from foley.errors import FoleyError

LEAST_FREE_GB = 15
LEAST_MEMORY_GB = 6


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's list.

    Parameters
    ----------
    what : str
        What was looked for.
    state : str
        ``ok``, ``absent`` (optional things) or ``wrong`` (a run would fail).
    detail : str
        What was found, or the cure.
    """

    what: str
    state: str
    detail: str


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Finding("Python", "ok" if fits else "wrong", version if fits else f"{version}: needs 3.11 or 3.12")


def _cores() -> Finding:
    flags = _cpu_flags()
    known = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags]
    return Finding("Cores", "ok", f"{os.cpu_count()}, {known[0] if known else 'no wide vectors known'}")


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    for line in path.read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def _memory() -> Finding:
    total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    state = "ok" if total_gb >= LEAST_MEMORY_GB else "wrong"
    return Finding(
        "Memory", state, f"{total_gb:.0f} GiB (a run of the default configuration wants {LEAST_MEMORY_GB})"
    )


def _disk() -> Finding:
    free_gb = shutil.disk_usage(Path.cwd()).free / 2**30
    state = "ok" if free_gb >= LEAST_FREE_GB else "wrong"
    return Finding("Free disk here", state, f"{free_gb:.0f} GiB (wants {LEAST_FREE_GB})")


def _ffmpeg() -> Finding:
    from foley.media.ffmpeg import ffmpeg_binary

    binary = ffmpeg_binary()
    done = subprocess.run([binary, "-hide_banner", "-filters"], capture_output=True, text=True, check=True)
    if "minterpolate" not in done.stdout:
        return Finding("ffmpeg", "wrong", f"{binary} has no minterpolate; reinstall imageio-ffmpeg")
    return Finding("ffmpeg", "ok", binary)


def _decoders() -> Finding:
    import av

    needed = ("h264", "aac", "vp9", "hevc", "pcm_s16le")
    missing = [name for name in needed if name not in av.codecs_available]
    if missing:
        return Finding("Decoders", "wrong", f"PyAV lacks {', '.join(missing)}; reinstall av")
    return Finding("Decoders", "ok", ", ".join(needed))


def _torch() -> Finding:
    import torch

    return Finding("torch", "ok", torch.__version__)


def _gpu() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("GPU", "absent", "none; everything runs on the CPU")
    names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    return Finding("GPU", "ok", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}; set device: cuda")


def _openvino() -> Finding:
    try:
        import openvino
    except ImportError:
        return Finding(
            "OpenVINO", "absent", "CNNs run several times slower on a CPU: pip install 'foley[fast]'"
        )
    return Finding("OpenVINO", "ok", str(openvino.__version__))


def _weights(name: str) -> Callable[[], Finding]:
    def check() -> Finding:
        from foley.features.visual import BackboneConfig, load_backbone

        load_backbone(BackboneConfig(network=name, engine="torch"), device="cpu")
        return Finding(f"Weights of {name}", "ok", "load")

    check.__name__ = f"weights_{name}"
    return check


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _cores,
    _memory,
    _disk,
    _ffmpeg,
    _decoders,
    _torch,
    _gpu,
    _openvino,
    _weights("efficientnet_lite0"),
    _weights("vgg16"),
)


def findings() -> Iterator[Finding]:
    """Run every check; one that fails becomes a finding itself."""
    for check in CHECKS:
        try:
            yield check()
        except (ImportError, OSError, subprocess.CalledProcessError, FoleyError) as error:
            yield Finding(check.__name__.strip("_"), "wrong", str(error))


def examine() -> bool:
    """Print the findings; True when a run can work."""
    colour = {"ok": "green", "absent": "yellow", "wrong": "red"}
    table = Table("what", "state", "detail")
    fine = True
    for finding in findings():
        table.add_row(finding.what, f"[{colour[finding.state]}]{finding.state}[/]", finding.detail)
        fine = fine and finding.state != "wrong"
    Console().print(table)
    return fine
