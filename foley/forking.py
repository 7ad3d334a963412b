"""A fork server: a process that has loaded what jobs need, and forks for each job.

Loading PyTorch takes a second of CPU time. Where hundreds of jobs take a few seconds each, as in the
embedded run, that is a quarter of all; a fork takes a hundredth of it. What is loaded beforehand should
hold no state and start no threads: a fork keeps neither apart nor alive.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

LOADED = (
    "av",
    "cv2",
    "ffmpeg",
    "foley.features.librosa_shim",
    "h5py",
    "pandas",
    "pydantic",
    "safetensors.torch",
    "scipy.fft",
    "scipy.signal",
    "snakemake.iocontainers",
    "snakemake.logging",
    "torch",
    "torch.distributed.tensor",
)
"""What the workflow's scripts load, but for the sources of Foley itself, which a user may be editing."""

_PR_SET_PDEATHSIG = 1
_BLOCK_BYTES = 512
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Ended:
    """How a script ended, and what it took, with all that it started and waited for."""

    status: int
    """Exit status; negative, the number of the signal that ended it."""
    cpu_s: float = 0.0
    peak_bytes: int = 0
    """Most memory of one of its processes, what was loaded beforehand and is shared included."""
    read_bytes: int = 0
    written_bytes: int = 0
    """Of the disk, not of what is still in its cache."""


class ForkServer:
    """Runs Python scripts, each in a process of its own that need not load anything first.

    The server is started by the first script, and again if it is gone when another comes. It ends with
    the process that started it, however that ends, and its scripts with it. Several threads may run
    scripts at once. Works on Linux.

    Parameters
    ----------
    modules : iterable of str
        What to import beforehand; what is not installed is left out.
    environment : mapping of str to str
        Environment of the server: what libraries look at when they are loaded, such as ``OMP_NUM_THREADS``.
    """

    def __init__(self, modules: Iterable[str], environment: Mapping[str, str]) -> None:
        self._modules = list(modules)
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def run(self, script: str | Path, environment: Mapping[str, str]) -> Ended:
        """Run one script to its end.

        Parameters
        ----------
        script : str or Path
            Python source; runs as ``__main__``, in the folder in which the server was started.
        environment : mapping of str to str
            Environment of the script, whole.

        Returns
        -------
        Ended
            How it ended, and what it took. Where the server died: as if killed, and nothing taken.
        """
        request = {"script": str(script), "environment": dict(environment)}
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs, self._lock:
                    socket.send_fds(self._started(), [b"."], [theirs.fileno()])
                ours.sendall(json.dumps(request).encode() + b"\n")
                with ours.makefile("rb") as answers:
                    answer = answers.readline()
            except ConnectionError:
                answer = b""
        return Ended(**json.loads(answer)) if answer else Ended(status=-signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server, and what still runs in it."""
        with self._lock:
            if self._channel is not None and self._process is not None:
                self._channel.close()
                self._process.wait()
            self._channel = self._process = None

    def _started(self) -> socket.socket:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        if self._channel is not None:
            self._channel.close()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "foley.forking", str(theirs.fileno()), *self._modules],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return self._channel


def _serve(channel: socket.socket) -> socket.socket | None:
    """Fork for each connection that is handed in; return it in the fork, and None when the channel ends."""
    connections: dict[int, socket.socket] = {}
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(_MOST_BYTES)
                _report_ended(connections)
            if channel not in ready:
                continue
            message, descriptors, *_ = socket.recv_fds(channel, 1, 1)
            if not message:
                return None
            connection = socket.socket(fileno=descriptors[0])
            if process_id := os.fork():
                connections[process_id] = connection
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (channel, waker, woken, *connections.values()):
                other.close()
            return connection


def _report_ended(connections: dict[int, socket.socket]) -> None:
    """Tell those who wait for processes that have ended how they ended."""
    while connections:
        process_id, status, usage = os.wait4(-1, os.WNOHANG)
        if not process_id:
            return
        ended = Ended(
            status=os.waitstatus_to_exitcode(status),
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * 1024,
            read_bytes=usage.ru_inblock * _BLOCK_BYTES,
            written_bytes=usage.ru_oublock * _BLOCK_BYTES,
        )
        with connections.pop(process_id) as connection, suppress(OSError):
            connection.sendall(json.dumps(asdict(ended)).encode() + b"\n")


def _run_script(connection: socket.socket, server_id: int) -> None:
    """Read from a connection what to run, and run it as if Python had been started with it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server_id:  # it died before this could be asked for
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with connection, connection.makefile("rb") as stream:
        request = json.loads(stream.readline())
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    script = request["script"]
    sys.argv[:] = [script]
    sys.path.insert(0, str(Path(script).resolve().parent))
    os._exit(_status_of(script))  # the usual end takes apart what was loaded, page by page: a quarter second


def _status_of(script: str) -> int:
    """Run a script in this process, do what is due at its end, and give the status to exit with."""
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, int):
            status = end.code
        elif end.code is not None:
            sys.stderr.write(f"{end.code}\n")
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    # What an interpreter does before it takes itself apart, as multiprocessing does it in its forks.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return status


def main(descriptor: str, *modules: str) -> None:
    """Import modules, then serve the channel with this descriptor until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the scripts, and for who waits for them
    for name in modules:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all of the memory that it looks at
    server_id = os.getpid()
    with socket.socket(fileno=int(descriptor)) as channel:
        connection = _serve(channel)
    if connection is not None:
        _run_script(connection, server_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
