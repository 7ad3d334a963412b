"""The workflow on a real SLURM: a node is lost, the coordinator is killed, and the tables stay the same.

Started by ``make test-slurm``, as root on a Debian machine (or as anybody where SLURM is installed). Brings a
cluster of three nodes up (:mod:`tests.slurm.cluster`), runs the smoke configuration through
``profiles/slurm``, takes one node's power while it works, kills Snakemake, starts it again, and compares the
tables with those of a run without SLURM, byte by byte. Says where SLURM itself saw every job. Exits with
status 1 if anything is wrong; nothing is left running or lying about.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.conftest import copy_workflow, snakemake_command
from tests.slurm.cluster import NODES, Cluster, ClusterError, Job, cluster, marked

_OVERLAYS = ("configs/smoke.yaml", "configs/slurm_smoke.yaml")
_LONGEST_S = 900.0
_AT_WORK = re.compile(r"at work on (\S+?)(?:, SLURM job (\d+))?(?:, GPU (\S+))?$", re.MULTILINE)
_LOCAL = re.compile(r"^localrules:\n((?: +\w+,\n)+)", re.MULTILINE)
_RULE = re.compile(r"^rule (\w+):\n((?:(?: .*)?\n)+)", re.MULTILINE)


class WrongError(Exception):
    """What this run is there to find."""


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - _START_S:5.0f} s] {text}", flush=True)


_START_S = time.monotonic()


def local_rules(workflow: Path) -> set[str]:
    """Rules that never leave the machine of the coordinator."""
    found = _LOCAL.search((workflow / "Snakefile").read_text(encoding="utf-8"))
    return set(re.findall(r"\w+", found[1])) if found else set()


def gpu_rules(workflow: Path) -> set[str]:
    """Rules that ask for a GPU."""
    texts = [path.read_text(encoding="utf-8") for path in (workflow / "rules").glob("*.smk")]
    return {name for text in texts for name, body in _RULE.findall(text) if "gpu=" in body}


def snakemake(
    workflow: Path, folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.Popen[bytes]:
    """Start the workflow; what it prints goes to a file beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    overlays = [str(workflow / overlay) for overlay in _OVERLAYS]
    command = [*snakemake_command(workflow, folder), "all"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(workflow)}
    with folder.with_suffix(".txt").open("ab") as stream:
        return subprocess.Popen(
            [*command, "--configfile", *overlays, *arguments],
            cwd=workflow,
            env={**environment, **threads},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def through_slurm(workflow: Path, folder: Path, slurm: Cluster) -> subprocess.Popen[bytes]:
    """Start the workflow through the profile that is shipped, only more impatient."""
    return snakemake(
        workflow,
        folder,
        slurm.environment,
        *("--profile", str(workflow / "profiles/slurm")),
        *("--slurm-partition-config", str(workflow / "profiles/slurm/partitions.yaml")),
        *("--slurm-init-seconds-before-status-checks", "4", "--latency-wait", "5"),
    )


def wait_for(process: subprocess.Popen[bytes], what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds while the workflow runs."""
    end = time.monotonic() + _LONGEST_S
    while not holds():
        if process.poll() is not None:
            raise WrongError(f"the workflow ended (status {process.returncode}) before {what}")
        if time.monotonic() > end:
            raise WrongError(f"waited in vain for {what}")
        time.sleep(0.5)
    say(what)


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for the end of a run, which must be a good one."""
    try:
        status = process.wait(timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        raise WrongError(f"{folder}: does not end") from None
    if status:
        text = folder.with_suffix(".txt").read_text(errors="replace")
        raise WrongError(f"{folder}: ended with status {status}:\n{text[-4000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a run with all that belongs to it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def disturbed_run(workflow: Path, folder: Path, slurm: Cluster) -> None:
    """Run through SLURM, with a node lost and the coordinator killed on the way."""
    process = through_slurm(workflow, folder, slurm)
    try:
        lost: list[str] = []

        def busy() -> bool:
            """A job has just begun on a node without GPU, and files say that the run is on its way."""
            lines = slurm.run("squeue", "-h", "-t", "R", "-o", "%N %M").splitlines()
            lost[:] = [line.split()[0] for line in lines if re.match(r"cpu\d 0:0\d$", line)]
            return bool(lost) and any(folder.glob("results/*/recordings.tsv"))

        wait_for(process, "a job has begun on a node without GPU", busy)
        name = lost[0]
        say(f"node {name} loses its power: {slurm.kill_node(name)} processes killed")
        wait_for(
            process,
            "SLURM has found the node lost",
            lambda: any(job.state.startswith("NODE_FAIL") for job in slurm.jobs()),
        )
        slurm.start_node(name)
        trained = "results/*/experiments/*/*/model.safetensors"
        wait_for(process, "the first model is trained", lambda: any(folder.glob(trained)))
        running = len(slurm.run("squeue", "-h", "-t", "R").splitlines())
        stop(process)
        say(f"coordinator killed while {running} jobs run; {slurm.cancel(folder)} jobs cancelled")
        process = through_slurm(workflow, folder, slurm)
        finish(process, folder)
        say("the same command, given again, ended well")
    finally:
        stop(process)


def check_places(workflow: Path, folder: Path, jobs: list[Job]) -> list[str]:
    """Compare what every job's log says of its place with SLURM's accounting; gives lines to print."""
    # A job may have done its work, and be cancelled with the coordinator before SLURM calls it completed.
    by_id = {job.job_id: job for job in jobs if job.state.startswith(("COMPLETED", "CANCELLED"))}
    local, gpu = local_rules(workflow), gpu_rules(workflow)
    places: dict[str, Counter[str]] = {}
    for log in sorted((folder / "results/logs").rglob("*.log")):
        rule = log.relative_to(folder / "results/logs").parts[0].removesuffix(".log")
        if rule == "slurm":
            continue
        found = _AT_WORK.search(log.read_text(encoding="utf-8"))
        if found is None:
            raise WrongError(f"{log}: does not say where it was written")
        node, job_id, gpus = found.groups()
        if rule in local:
            if job_id:
                raise WrongError(f"{rule} is a local rule, but ran as SLURM job {job_id}")
            places.setdefault(rule, Counter())["coordinator"] += 1
            continue
        job = by_id.get(job_id or "")
        if job is None or job.node != node:
            raise WrongError(f"{log}: SLURM knows no finished job {job_id} on {node}")
        kind = "gpu" if rule in gpu else "cpu"
        if (
            job.partition != kind
            or ("gres/gpu" in job.tres) != (kind == "gpu")
            or bool(gpus) != (kind == "gpu")
        ):
            raise WrongError(f"{rule} belongs on a {kind} node, but ran on {node} with {job.tres}")
        places.setdefault(rule, Counter())[node] += 1
    rules = {
        name for path in (workflow / "rules").glob("*.smk") for name, _ in _RULE.findall(path.read_text())
    }
    if missing := rules - set(places):
        raise WrongError(f"rules that never ran: {', '.join(sorted(missing))}")
    return [
        f"{rule:28}{', '.join(f'{node} {n}' for node, n in sorted(nodes.items()))}"
        for rule, nodes in sorted(places.items())
    ]


def tables(folder: Path) -> dict[str, bytes]:
    """Content of every table of a run."""
    return {path.name: path.read_bytes() for path in sorted((folder / "results/tables").iterdir())}


def main() -> None:
    """Run it all."""
    # So that a termination, too, takes the cluster down.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"stopped by signal {number}"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where to work; on a good end it is removed")
    parser.add_argument("--root", type=Path, default=Path("/var/tmp/foley-slurm"), help="SLURM's own folder")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    chosen = parser.parse_args()
    folder = chosen.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    workflow = copy_workflow(folder / "repository")
    alone: subprocess.Popen[bytes] | None = None
    try:
        with cluster(chosen.root) as slurm:
            say(f"SLURM is up: {', '.join(f'{node.name} ({node.partition})' for node in NODES)}")
            # Beside it, since a cluster's jobs spend half of their time waiting.
            alone = snakemake(workflow, folder / "local", dict(os.environ), "--cores", "1")
            disturbed_run(workflow, folder / "cluster", slurm)
            time.sleep(3)  # the accounting lags behind
            jobs = slurm.jobs()
        if marked(chosen.root) or chosen.root.exists():
            raise WrongError("processes or files of the cluster are left")
        say("SLURM is gone: no process and no file of it is left")
        print("\n".join(check_places(workflow, folder / "cluster", jobs)))
        states = Counter(job.state.split()[0] for job in jobs)
        say(f"sacct: {len(jobs)} submissions, {', '.join(f'{n} {state}' for state, n in states.items())}")
        finish(alone, folder / "local")
        ours, theirs = tables(folder / "cluster"), tables(folder / "local")
        if not ours or ours != theirs:
            differing = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
            raise WrongError(
                f"tables differ from those of the local run: {', '.join(differing) or 'none there'}"
            )
        say(f"{len(ours)} files of tables, all with the bytes of the local run")
    except (WrongError, ClusterError, subprocess.TimeoutExpired) as error:
        sys.exit(f"WRONG: {error}")
    finally:
        if alone is not None:
            stop(alone)
    if not chosen.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
