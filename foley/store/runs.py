"""One run at a time in a folder, and none that begins on a full disk."""

import atexit
import json
import os
import socket
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from foley.errors import DiskFullError, FoleyError
from foley.store.files import free_bytes, remove_leftovers, try_lock

_LEAST_FREE_BYTES = 16 << 20
"""With less than this the workflow could not even keep its own records."""


def begin_run(lock_path: str | Path, folders: Iterable[str | Path]) -> None:
    """Claim a folder for this process until it ends, and remove what dead runs left behind.

    The claim is a lock of the operating system: it ends with the process, however that ends, so
    nothing needs to be unlocked by hand after a kill or a loss of power. A process that ends on a full
    disk says so last, on standard error.

    Parameters
    ----------
    lock_path : str or Path
        File to lock; it stays there, and says who has the claim.
    folders : iterable of str or Path
        Where the run writes; temporary files of dead processes in them are removed.

    Raises
    ------
    FoleyError
        If another run has the claim; names it.
    DiskFullError
        If hardly any room is left in one of the folders.
    """
    places = [Path(folder).absolute() for folder in folders]
    if shortage := _shortage(places):
        raise DiskFullError(shortage)
    path = Path(lock_path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Never closed: the lock must live as long as the process.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    if not try_lock(descriptor):
        raise FoleyError(
            f"{path.parent.parent}: another run is at work in this folder ({_claimant(path)}); wait until it "
            "ends, or stop it. Nothing was changed."
        )
    facts = {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    os.truncate(descriptor, 0)
    os.write(descriptor, json.dumps(facts).encode())
    for place in places:
        remove_leftovers(place)
    # Snakemake, which keeps records too, may be the first to find no room, and names no cure.
    atexit.register(_say_shortage, places)


def _say_shortage(folders: list[Path]) -> None:
    if shortage := _shortage(folders):
        sys.stderr.write(f"{shortage}\n")


def _shortage(folders: Iterable[Path]) -> str:
    """What to tell a person when a disk is full; empty when none is."""
    for folder in folders:
        if (free := free_bytes(folder)) < _LEAST_FREE_BYTES:
            return (
                f"{folder}: only {free / 1e6:.1f} MB are free on this disk; make room there, then run the "
                "same command again: what is finished is kept"
            )
    return ""


def _claimant(path: Path) -> str:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return f"process {facts['process']} on {facts['machine']} since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has only just begun"
