"""Shared by all tests: one thread a process, and a copy of the workflow to edit and run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Before tests that import librosa themselves, which must find compiled what it compiles.
import foley.features.librosa_shim  # noqa: F401

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "config.yaml", "rules", "workflow_scripts", "foley", "profiles", "configs", "envs")


def copy_workflow(target: Path) -> Path:
    """Copy what the workflow consists of, so that a test may edit it."""
    target.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target


def snakemake_command(workflow: Path, directory: Path) -> list[str]:
    """Command that runs the workflow of one copy in one folder; what to make follows."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(workflow / "Snakefile")),
        *("--directory", str(directory), "--workflow-profile", str(workflow / "profiles/default")),
    ]


def snakemake(workflow: Path, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the workflow of one copy in one folder, in a process group of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    # A foley of the copy, not the installed one, must be what scripts import.
    environment = {**os.environ, "PYTHONPATH": str(workflow)}
    return subprocess.Popen(
        [*snakemake_command(workflow, directory), *arguments],
        cwd=workflow,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def run_snakemake(workflow: Path, directory: Path, *arguments: str) -> str:
    """Run the workflow to its end and return what it printed; it must succeed."""
    with snakemake(workflow, directory, *arguments) as process:
        text, _ = process.communicate()
    assert process.returncode == 0, text[-6000:]
    return text


@pytest.fixture(scope="session")
def workflow_copy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Make copies of the workflow."""
    return lambda: copy_workflow(tmp_path_factory.mktemp("workflow") / "repository")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole workflows first: begun last, one of them would keep a single core busy at the end."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)
