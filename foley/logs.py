"""Logging of one job to one file, with errors a person can act on."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foley.errors import FoleyError

logger = logging.getLogger("foley")


class _LogFile(logging.FileHandler):
    """A log file whose own troubles, such as a full disk, do not drown what the job has to say."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave the line out."""


@contextmanager
def log_to_file(path: str | Path) -> Iterator[None]:
    """Send Foley's log messages to `path` while the block runs.

    A :class:`~foley.errors.FoleyError` ends the process with exit status 1 and its own text on
    standard error, without a traceback: the text says what to do. Any other error keeps its
    traceback, in the file too.

    Parameters
    ----------
    path : str or Path
        Log file; its folder is made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.info("at work on %s", _place())
    try:
        yield
    except FoleyError as error:
        logger.error("%s", error)
        sys.exit(f"foley: {error}")
    except Exception:
        logger.exception("unexpected error")
        raise
    finally:
        logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


def _place() -> str:
    """Name the machine; on a cluster the node, the number of the job, and the GPUs that it was given."""
    job_id, gpus = os.environ.get("SLURM_JOB_ID"), os.environ.get("CUDA_VISIBLE_DEVICES")
    host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    parts = [host, f"SLURM job {job_id}" if job_id else "", f"GPU {gpus}" if gpus else ""]
    return ", ".join(filter(None, parts))
