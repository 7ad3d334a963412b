"""librosa, loaded by one process at a time.

Some of librosa's functions are compiled when they are loaded, by numba, which keeps what it made for other
processes. Of several that load librosa for the first time in a new environment, one may find what another
has half written, and be ended by the system when it calls it (10 of 36 were, three at a time). Import
librosa from here: whoever comes first compiles, the others wait.
"""

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from foley.store.files import locked

with locked(Path(tempfile.gettempdir()) / f"foley-librosa-{os.getuid()}"):
    librosa: Any = importlib.import_module("librosa")
    for _name in ("core", "core.audio", "core.constantq", "core.pitch", "core.spectrum", "filters", "util"):
        importlib.import_module(f"librosa.{_name}")
