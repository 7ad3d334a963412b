"""Torture: a run is killed, terminated and starved of room, and must end as if nothing had happened.

Started by ``make torture``. One run goes through undisturbed and gives the reference. Others are stopped
at random moments and started again with the very same command, until they are through. Then all tables,
shards and models must have the bytes of the reference, no finished job and no finished item may have been
made twice, and nothing may be left lying about. Prints a summary; exits with status 1 if anything is wrong.
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.conftest import copy_workflow
from tests.torture.bookkeeping import Bookkeeping

_CURE = re.compile(r"/.*(no room to write|MB are free).*make room there, then run the same command again")
_FLOW = "results/procedural/flow/tvl1/000.h5"
"""Made on demand only; asked for, so that every rule runs."""
_LONGEST_S = 900.0
_LEFTOVERS = re.compile(r".*\.part-.*|.*\.partial-.*|.*\.lock|state-.*")
_DISK_BYTES = 1 << 30


class WrongError(Exception):
    """What the torture is there to find."""


@dataclass
class Run:
    """One working folder, the command that is always the same, and what is known of its starts."""

    workflow: Path
    folder: Path
    books: Bookkeeping = field(default_factory=Bookkeeping)
    n_starts: int = 0
    deadline: float = float("inf")

    @contextmanager
    def started(self) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """Start the workflow in a session of its own; its output goes to a file."""
        if time.monotonic() > self.deadline:
            raise WrongError("the time is up; see --minutes, or use a machine that has nothing else to do")
        self.folder.mkdir(parents=True, exist_ok=True)
        said = self.workflow.parent / f"{self.folder.name}.{self.n_starts:03d}.txt"
        self.n_starts += 1
        environment = {
            **os.environ,
            **{"PYTHONPATH": str(self.workflow), "PYTHONDONTWRITEBYTECODE": "1"},
            **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        }
        command = [
            *(sys.executable, "-m", "snakemake", "all", _FLOW, "--cores", "2"),
            *("--snakefile", str(self.workflow / "Snakefile"), "--directory", str(self.folder)),
            *("--workflow-profile", str(self.workflow / "profiles/default")),
            *("--configfile", str(self.workflow / "configs/smoke.yaml"), str(self.workflow / "torture.yaml")),
        ]
        with said.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.workflow,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process, said
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def read(self, said: Path, *, orphaned: bool = False) -> tuple[str, int]:
        """What was printed, and how many jobs it says were finished."""
        text = said.read_text(encoding="utf-8", errors="replace")
        return text, self.books.add(text, self.folder, orphaned=orphaned)

    def finish(self) -> None:
        """Run to the end, undisturbed."""
        with self.started() as (process, said):
            status = wait(process, max(1.0, min(_LONGEST_S, self.deadline - time.monotonic())))
        text, _ = self.read(said)
        if status != 0:
            raise WrongError(f"{said}: ended with status {status}:\n{text[-3000:]}")


def wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Exit status, or None when the process still runs after this time."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None


def results_of(folder: Path) -> dict[str, str]:
    """Digest of everything that must not depend on how often a run was stopped."""
    results = folder / "results"
    kept = [*results.rglob("*.h5"), *results.rglob("*.safetensors"), *results.rglob("*.tsv")]
    kept += [path for path in (results / "tables").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(set(kept))
        if "benchmarks" not in path.parts
    }


def rules_of(workflow: Path) -> set[str]:
    """Names of all rules of the workflow."""
    files = [workflow / "Snakefile", *(workflow / "rules").glob("*.smk")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return set(re.findall(r"^ *rule (\w+):", text, re.MULTILINE))


def compare(reference: dict[str, str], folder: Path) -> None:
    """Stop when anything differs from the reference, or was left behind."""
    found = results_of(folder)
    wrong = sorted(name for name in reference.keys() | found.keys() if reference.get(name) != found.get(name))
    if wrong:
        raise WrongError(f"{folder}: {len(wrong)} files differ from the undisturbed run: {wrong[:9]}")
    places = [folder / "results", folder / "data"]
    left = [path for place in places for path in place.rglob("*") if _LEFTOVERS.fullmatch(path.name)]
    if left:
        raise WrongError(f"{folder}: left behind: {left[:9]}")


@dataclass
class Horizon:
    """How long a start may last at most: longer after one that got nothing done."""

    seconds: float
    shortest_s: float = 5.0
    longest_s: float = 90.0

    def draw(self, chance: random.Random) -> float:
        return chance.uniform(0.0, self.seconds)

    def learn(self, n_finished: int) -> None:
        factor = 1.4 if n_finished == 0 else 0.8 if n_finished > 2 else 0.95
        self.seconds = min(self.longest_s, max(self.shortest_s, factor * self.seconds))


Stop = Callable[[subprocess.Popen[bytes], int], bool]
"""Stops a running start, the n-th; says whether its jobs may live on."""


def kill(process: subprocess.Popen[bytes], number: int) -> bool:
    """SIGKILL to Snakemake and all its jobs; every tenth time to Snakemake alone, as an OOM killer may."""
    alone = number % 10 == 9
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()
    return alone


def terminate(process: subprocess.Popen[bytes], number: int) -> bool:
    """SIGTERM, in turn to all processes, as batch systems do, and to Snakemake alone."""
    (os.kill if number % 2 else os.killpg)(process.pid, signal.SIGTERM)
    if wait(process, 120.0) is None:
        raise WrongError("SIGTERM did not end the run in 120 s")
    return False


@dataclass
class Summary:
    """One line of the table at the end."""

    name: str
    n_stops: int = 0
    books: list[Bookkeeping] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        books = self.books
        counts = [
            sum(part.n_jobs_started for part in books),
            sum(part.n_jobs_finished for part in books),
            sum(len(part.redone_jobs) for part in books),
            sum(len(part.unseen) for part in books),
            sum(part.n_items_written for part in books),
            sum(part.n_items_kept for part in books),
            sum(len(part.redone_items) for part in books),
        ]
        cells = [self.n_stops, len(books), *counts, round(self.seconds)]
        return f"{self.name:<12}" + "".join(f"{cell:>9}" for cell in cells)

    @staticmethod
    def head() -> str:
        names = [
            "stops",
            "runs",
            "started",
            "finished",
            "redone",
            "unseen",
            "items",
            "kept",
            "redone",
            "seconds",
        ]
        return f"{'':<12}" + "".join(f"{name:>9}" for name in names)


def disturb(
    name: str, n_stops: int, stop: Stop, whole: Run, reference: dict[str, str], chance: random.Random
) -> Summary:
    """Stop runs at random moments until it happened `n_stops` times; each run must end well."""
    summary, horizon = Summary(name), Horizon(12.0)
    start = time.monotonic()
    while summary.n_stops < n_stops:
        run = replace(
            whole, folder=whole.folder.with_name(f"{name}{len(summary.books)}"), books=Bookkeeping()
        )
        summary.books.append(run.books)
        while summary.n_stops < n_stops:
            with run.started() as (process, said):
                status = wait(process, horizon.draw(chance))
                orphaned = stop(process, summary.n_stops) if status is None else False
            _, n_finished = run.read(said, orphaned=orphaned)
            if status is not None:
                break
            summary.n_stops += 1
            horizon.learn(n_finished)
            print(f"{name} {summary.n_stops}/{n_stops}: {n_finished} jobs finished", flush=True)
        run.finish()
        compare(reference, run.folder)
    summary.seconds = time.monotonic() - start
    return summary


@contextmanager
def small_disk(place: Path, n_bytes: int) -> Iterator[None]:
    """Mount a file system of this size."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "foley-torture", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all the room that is left on a disk; give the file that holds it."""
    ballast = place / "ballast"
    size = shutil.disk_usage(place).free
    with ballast.open("ab") as stream:
        while size > 0:
            try:
                os.posix_fallocate(stream.fileno(), stream.seek(0, os.SEEK_END), size)
            except OSError:
                size //= 2
            else:
                size = min(size, shutil.disk_usage(place).free)
    return ballast


def starve(
    n_stops: int, whole: Run, reference: dict[str, str], chance: random.Random, place: Path
) -> Summary:
    """Fill the disk at random moments of a run; it must say so, and go on once there is room."""
    summary, horizon = Summary("full disk"), Horizon(20.0, shortest_s=10.0)
    start = time.monotonic()
    with small_disk(place, _DISK_BYTES):
        run = replace(whole, folder=place / "starved", books=Bookkeeping())
        run.folder.mkdir()
        summary.books.append(run.books)
        for number in range(n_stops):
            before = fill(place) if number % 3 == 0 else None  # some find the disk full already
            with run.started() as (process, said):
                status = wait(process, 60.0 if before else horizon.draw(chance))
                ballast = before or fill(place)
                status = wait(process, 120.0) if status is None else status
            text, n_finished = run.read(said)
            if status is None:
                raise WrongError(f"{said}: the run goes on though its disk is full")
            if status == 0:
                break
            if not _CURE.search(text):
                raise WrongError(f"{said}: does not say that the disk is full, or not what to do about it")
            ballast.unlink()
            summary.n_stops += 1
            horizon.learn(n_finished)
            print(f"full disk {summary.n_stops}/{n_stops}: {n_finished} jobs finished", flush=True)
        (place / "ballast").unlink(missing_ok=True)
        run.finish()
        compare(reference, run.folder)
    summary.seconds = time.monotonic() - start
    return summary


def may_mount(place: Path) -> str:
    """Why no small disk can be had; empty if it can."""
    if os.geteuid() != 0:
        return "only root may mount a small disk"
    try:
        with small_disk(place, 1 << 20):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no small disk can be mounted ({error})"
    finally:
        place.rmdir()


def main() -> int:
    """Do all of it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to work; must not be there yet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--terminations", type=int, default=6)
    parser.add_argument("--full-disks", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=20.0, help="longer than this is a failure")
    options = parser.parse_args()
    base = options.folder.absolute()
    workflow = copy_workflow(base / "workflow")
    shutil.copy(Path(__file__).with_name("torture.yaml"), workflow)
    chance = random.Random(options.seed)
    start = time.monotonic()
    whole = Run(workflow, base / "whole", deadline=start + 60 * options.minutes)
    undisturbed = Summary("undisturbed", books=[whole.books])
    summaries, wrong = [undisturbed], []
    try:
        whole.finish()
        undisturbed.seconds = time.monotonic() - start
        reference = results_of(whole.folder)
        n_rules, idle = len(whole.books.rules), sorted(rules_of(workflow) - whole.books.rules)
        print(f"undisturbed: {whole.books.n_jobs_finished} jobs of {n_rules} rules", flush=True)
        print(f"not asked for by this configuration: {', '.join(idle) or 'no rule'}", flush=True)
        summaries.append(disturb("killed", options.kills, kill, whole, reference, chance))
        summaries.append(disturb("terminated", options.terminations, terminate, whole, reference, chance))
        if reason := may_mount(base / "trial"):
            print(f"full disk: left out, {reason}")
        else:
            summaries.append(starve(options.full_disks, whole, reference, chance, base / "disk"))
    except WrongError as error:
        wrong.append(str(error))
    for summary in summaries:
        for books in summary.books:
            wrong += [f"{summary.name}: finished, yet made again: {name}" for name in books.redone_jobs]
            wrong += [f"{summary.name}: item written, yet made again: {name}" for name in books.redone_items]
    print(f"\n{'':<12}{'':>18}{'jobs':>18}{'':>27}{'items':>9}")
    print("\n".join([Summary.head(), *(summary.line() for summary in summaries)]))
    print(f"{time.monotonic() - start:.0f} s in all, seed {options.seed}")
    print("\n".join(wrong) if wrong else "Every run ended with the bytes of the undisturbed one.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
