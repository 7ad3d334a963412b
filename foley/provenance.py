"""Where a result came from: code digests, config digests, file digests, versions, machine."""

import ast
import hashlib
import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGE = "foley"
KNOWN_SOURCES = Path(".snakemake/foley-sources.json")
"""Where the workflow keeps what it knows of the sources, in the folder that it runs in, as its jobs do."""
_NOT_FOLLOWED = frozenset({"foley.registry"})
"""Modules that only name other modules; what they name is added by the caller instead."""


_WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class SourceReader:
    """Reads sources as digests see them, and remembers what it read.

    Parameters
    ----------
    known : dict, optional
        What another reader knew, by path; a source that has changed since is read again.

    Attributes
    ----------
    known : dict
        JSON-like, by path: stamp of the file, digest, names imported.
    n_read : int
        Sources that had to be read.
    """

    def __init__(self, known: dict[str, list[Any]] | None = None) -> None:
        self.known = dict(known or {})
        self.n_read = 0

    def read(self, path: Path) -> tuple[str, list[str]]:
        """Digest of what decides results in a source, and the Foley names that it imports, sorted."""
        stat = path.stat()
        stamp = [stat.st_mtime_ns, stat.st_size, platform.python_version()]
        known = self.known.get(str(path))
        if known is None or known[0] != stamp:
            known = [stamp, *_parsed(path)]
            self.known[str(path)] = known
            self.n_read += 1
        return known[1], known[2]


def recall_sources(path: str | Path = KNOWN_SOURCES) -> SourceReader:
    """Make a reader that knows what :func:`foley.settings.keep_sources` wrote, if that is there."""
    return SourceReader(recall(Path(path)))


def recall(path: Path) -> dict[str, Any]:
    """Read what an earlier run kept to save time; empty where it is missing or damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


@cache
def _reader() -> SourceReader:
    return recall_sources()


def _parsed(path: Path) -> tuple[str, list[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRINGS):
            node.body = [child for child in node.body if not _is_bare_string(child)] or [ast.Pass()]
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = sorted(name for name in names if name.split(".")[0] == _PACKAGE)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), ours


def _is_bare_string(node: ast.stmt) -> bool:
    """Whether it is a docstring or another bare string, which changes no result."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def source_files(entries: list[str], root: Path, reader: SourceReader | None = None) -> dict[str, Path]:
    """Find every Foley source that the entries import, directly or not.

    Parameters
    ----------
    entries : list of str
        Module names (``foley.preprocess.denoise``) or paths of scripts relative to `root`.
    root : Path
        Folder that holds the package ``foley``.
    reader : SourceReader, optional
        Reads the sources.

    Returns
    -------
    dict of str to Path
        Name to file, sorted by name.
    """
    reader = reader or _reader()
    found: dict[str, Path] = {}
    todo = list(entries)
    while todo:
        name = todo.pop()
        if name in found or name in _NOT_FOLLOWED:
            continue
        path = root / name if name.endswith(".py") else _module_file(name, root)
        if path is None:
            continue
        found[name] = path
        todo.extend(reader.read(path)[1])
    return dict(sorted(found.items()))


def code_digest(entries: list[str], root: Path, reader: SourceReader | None = None) -> str:
    """Digest the code that decides what a stage computes.

    Docstrings, comments and formatting do not count, so editing them reruns nothing; any other
    edit in any Foley module that the entries import, directly or not, changes the digest.

    Parameters
    ----------
    entries : list of str
        Module names or script paths relative to `root`.
    root : Path
        Folder that holds the package ``foley``.
    reader : SourceReader, optional
        Reads the sources; one that another process's knowledge was given to saves a second.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    reader = reader or _reader()
    for name, path in source_files(entries, root, reader).items():
        digest.update(name.encode())
        digest.update(reader.read(path)[0].encode())
    return digest.hexdigest()[:16]


def config_digest(value: Any) -> str:
    """Digest a JSON-like value; key order does not count. Returns 16 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def environment() -> dict[str, Any]:
    """Describe the machine and the versions of what Foley computes with."""
    packages = ("torch", "torchvision", "numpy", "scipy", "librosa", "h5py", "av", "decord2", "snakemake")
    versions = {}
    for name in (*packages, "opencv-contrib-python-headless", "openvino", "foley"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }


def git_state(root: Path) -> dict[str, Any]:
    """Commit and whether the tree differs from it; ``{"commit": None}`` outside a checkout."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = bool(_git(root, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": changed}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()
