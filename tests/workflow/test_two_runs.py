"""Two runs in one folder: the second is told so; a killed one needs no unlocking."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import run_snakemake, snakemake

pytestmark = pytest.mark.slow

TARGET = "results/procedural/sources.tsv"


@pytest.fixture
def at_work(
    workflow_copy: Callable[[], Path], tmp_path: Path
) -> Iterator[tuple[list[str], subprocess.Popen[str]]]:
    """A run that has begun and stands still, and how to start another like it."""
    workflow = workflow_copy()
    arguments = (
        workflow,
        tmp_path,
        TARGET,
        "--cores",
        "1",
        "--configfile",
        str(workflow / "configs/smoke.yaml"),
    )
    lock = tmp_path / ".snakemake/foley.lock"
    with snakemake(*arguments) as process:
        while process.poll() is None and not (lock.is_file() and lock.stat().st_size):
            time.sleep(0.1)
        assert process.poll() is None, process.stdout and process.stdout.read()
        os.killpg(process.pid, signal.SIGSTOP)
        yield arguments, process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_second_run_is_refused_and_the_first_is_not_disturbed(at_work, tmp_path: Path) -> None:
    arguments, first = at_work
    with snakemake(*arguments) as second:
        text, _ = second.communicate()
    assert second.returncode == 1
    assert re.search(rf"{tmp_path}: another run is at work in this folder \(process {first.pid} on ", text)
    assert "Traceback" not in text
    assert "--unlock" not in text
    assert "Job stats" in run_snakemake(*arguments[:2], "-n", *arguments[2:]), "a dry run is always allowed"
    os.killpg(first.pid, signal.SIGCONT)
    text, _ = first.communicate()
    assert first.returncode == 0, text
    assert (tmp_path / TARGET).is_file()


def test_after_a_kill_the_same_command_goes_on(at_work, tmp_path: Path) -> None:
    arguments, first = at_work
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    run_snakemake(*arguments)
    assert (tmp_path / TARGET).is_file()
