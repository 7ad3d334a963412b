"""Logging of one job to one file, with errors a person can act on."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foley.errors import FoleyError

logger = logging.getLogger("foley")


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
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
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
        handler.close()
