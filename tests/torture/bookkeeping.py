"""What happened in a run that was started many times, read from its logs: what was done, what twice."""

import re
from dataclasses import dataclass, field
from pathlib import Path

_DETAILS = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", re.MULTILINE)
_FINISHED = re.compile(r"^Finished jobid: (\d+) ", re.MULTILINE)
_ITEM = re.compile(r"^.*: item (.+) written$", re.MULTILINE)
_GATHERED = re.compile(r"items gathered$", re.MULTILINE)
_FILMS = {".mp4", ".mkv", ".mov", ".webm", ".avi"}


@dataclass(frozen=True)
class Job:
    """One job as Snakemake announced it."""

    jobid: str
    rule: str
    outputs: str
    log: str

    @property
    def name(self) -> str:
        return f"{self.rule} {self.outputs}"


def jobs_of(text: str) -> list[Job]:
    """Jobs that Snakemake says it started, in order."""
    found = []
    for match in _DETAILS.finditer(text):
        details = dict(re.findall(r"^    (\w+): (.*)$", match[2], re.MULTILINE))
        log = details.get("log", "").split(" ")[0]
        found.append(Job(details["jobid"], match[1], details.get("output", ""), log))
    return found


def finished_of(text: str) -> set[str]:
    """Ids of the jobs that Snakemake says have finished."""
    return set(_FINISHED.findall(text))


@dataclass
class Bookkeeping:
    """Counts over all starts of one run.

    A job is finished when Snakemake said so. A job whose file was in place when the kill came, but that
    Snakemake had not yet written down, is done again as a whole; those are counted apart (`unseen`).
    """

    n_jobs_started: int = 0
    n_jobs_finished: int = 0
    n_items_written: int = 0
    n_items_kept: int = 0
    unseen: list[str] = field(default_factory=list)
    redone_jobs: list[str] = field(default_factory=list)
    redone_items: list[str] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)
    _finished: set[str] = field(default_factory=set)
    _logs: dict[str, str] = field(default_factory=dict)
    _items: dict[str, set[str]] = field(default_factory=dict)
    _films: dict[Path, int] = field(default_factory=dict)

    def add(self, output: str, folder: Path, *, orphaned: bool = False) -> int:
        """Take in one start that has ended; give how many jobs it finished.

        Parameters
        ----------
        output : str
            What Snakemake printed.
        folder : Path
            Working folder of the run.
        orphaned : bool
            True when only Snakemake was killed: its jobs may have gone on, unwatched.
        """
        jobs, finished = jobs_of(output), finished_of(output)
        for job in jobs:
            if job.name in self._finished:
                self.redone_jobs.append(job.name)
            if job.jobid in finished:
                self._finished.add(job.name)
        self.rules |= {job.rule for job in jobs}
        self.n_jobs_started += len(jobs)
        self.n_jobs_finished += len(finished)
        for job in jobs:
            self._read_log(job, folder)
            if orphaned and job.jobid not in finished:
                self._items.pop(job.log, None)
        self._look_at_films(folder)
        return len(finished)

    def _read_log(self, job: Job, folder: Path) -> None:
        path = folder / job.log
        if not job.log or not path.is_file():
            return
        before, text = self._logs.get(job.log, ""), path.read_text(encoding="utf-8", errors="replace")
        if text == before:  # killed before it said anything
            return
        written = _ITEM.findall(text)
        earlier = self._items.setdefault(job.log, set())
        if earlier and _GATHERED.search(before):
            self.unseen.append(job.name)
            earlier.clear()
        again = sorted(earlier & set(written))
        self.redone_items += [f"{job.name}: {item}" for item in again]
        self.n_items_kept += len(earlier)
        self.n_items_written += len(written)
        earlier |= set(written)
        self._logs[job.log] = text

    def _look_at_films(self, folder: Path) -> None:
        for path in (folder / "data").rglob("*"):
            if path.suffix in _FILMS and ".part-" not in path.name:
                stamp = path.stat().st_mtime_ns
                if self._films.setdefault(path, stamp) != stamp:
                    self.redone_items.append(f"film {path.name}")
                    self._films[path] = stamp
