"""A data set of 27,800 clips through a real SLURM of 16 nodes that fail: stub work, real schedulers.

Started by ``make simulate-cluster``, as root on a Debian machine (or as anybody where SLURM is installed).
The plan is that of ``configs/paper.yaml``, job by job; Snakemake plans, groups, submits through
``profiles/cluster-generic`` and asks for states; SLURM queues and places by what each job asks for. Only the
work is a stub: a job sleeps for a share of the time that it asks for and makes its files, empty. Nodes lose
their power with all that runs on them, and come back, so often that the wanted share of submissions is lost.
Ends well only if every job of the plan was done in spite of it. Prints what it took.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.conftest import ROOT, copy_workflow, snakemake_command
from tests.slurm.cluster import Cluster, ClusterError, Job, Node, cluster
from tests.slurm.run import WrongError, stop

_N_CLIPS = 27_800
_LONGEST_S = 3600.0
_LOCAL_STUB = """\
from pathlib import Path

for path in map(Path, snakemake.output):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if path.suffix else path.mkdir(exist_ok=True)
"""
"""In place of each script, for the rules that run where Snakemake does."""
_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", re.MULTILINE)
_JOB_SCRIPT = """\
#!/bin/sh
# properties = {{properties}}
# {{exec_job}}
exec {python} {stub} {speed} {files} "$0"
"""
"""In place of Snakemake's own script of a job, which would start Snakemake; a template of Snakemake's."""


def nodes(number: int) -> tuple[Node, ...]:
    """As many nodes as asked for, each fourth of them with four GPUs that compute nothing."""
    return tuple(
        Node(f"node{index:02d}", "all", cpus=8, memory_mb=640_000, gpus=0 if index % 4 else 4)
        for index in range(number)
    )


def start(
    workflow: Path, folder: Path, overlay: Path, slurm: Cluster, script: Path
) -> subprocess.Popen[bytes]:
    """Start Snakemake with the shipped profile; what it prints goes to a file beside the folder."""
    folder.mkdir(parents=True)
    # The profile names its status script from the folder that it is used in.
    shutil.copytree(workflow / "profiles", folder / "profiles")
    command = [*planner(workflow, folder, overlay), "--profile", str(workflow / "profiles/cluster-generic")]
    with folder.with_suffix(".txt").open("wb") as stream:
        return subprocess.Popen(
            [*command, "--jobscript", str(script), "--latency-wait", "5"],
            cwd=workflow,
            env={**slurm.environment, "PYTHONPATH": str(workflow)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def planner(workflow: Path, folder: Path, overlay: Path) -> list[str]:
    """Command that plans the workflow of one copy in one folder."""
    return [*snakemake_command(workflow, folder), "all", "--configfile", str(overlay)]


def plan(workflow: Path, folder: Path, overlay: Path) -> dict[str, list[str]]:
    """Files of every job that is still to be done, by the name that ``--target-jobs`` has for it."""
    command = [*planner(workflow, folder, overlay), "--cores", "1", "--dry-run"]
    environment = {**os.environ, "PYTHONPATH": str(workflow)}
    done = subprocess.run(command, cwd=workflow, env=environment, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    if done.returncode:
        raise WrongError(f"the plan failed:\n{text[-4000:]}")
    jobs: dict[str, list[str]] = {}
    for rule, told in _JOB.findall(text):
        said = dict(line.strip().partition(": ")[::2] for line in told.splitlines())
        wildcards = said.get("wildcards", "").replace(", ", ",")
        jobs[f"{rule}:{wildcards}"] = [
            path for key in ("output", "benchmark") if key in said for path in said[key].split(", ")
        ]
    return jobs


def lost(jobs: list[Job]) -> int:
    """Submissions that a failing node took with it."""
    return sum(job.state.startswith("NODE_FAIL") for job in jobs)


def disturb(process: subprocess.Popen[bytes], slurm: Cluster, rate: float, dice: random.Random) -> int:
    """Take a node's power whenever too few submissions are lost, until the run ends; gives how often."""
    failures = 0
    end = time.monotonic() + _LONGEST_S
    while process.poll() is None:
        if time.monotonic() > end:
            raise WrongError("does not end")
        time.sleep(3)
        jobs = slurm.jobs()
        busy = sorted({job.node for job in jobs if job.state == "RUNNING"})
        if not busy or lost(jobs) >= rate * len(jobs):
            continue
        name = dice.choice(busy)
        slurm.kill_node(name)
        failures += 1
        time.sleep(1)
        slurm.start_node(name)
    return failures


def report(jobs: list[Job], failures: int, wall_s: float, cpu_s: float, speed: float) -> str:
    """What it took, a line each."""
    states = Counter(job.state.split()[0] for job in jobs)
    told = ", ".join(f"{n} {name}" for name, n in states.items())
    places = Counter(job.node for job in jobs if job.state == "COMPLETED")
    rows = {
        "submissions": f"{len(jobs)}: {told}",
        "nodes lost": f"{failures} times, and {lost(jobs) / len(jobs):.1%} of the submissions with them",
        "nodes at work": f"{len(places)}, with {min(places.values())} to {max(places.values())} each",
        "time": f"{wall_s:.0f} s, in each of which {speed:g} of those asked for pass",
        "coordinator": f"{cpu_s:.0f} CPU-s, with local rules (stubs) and questions for states",
    }
    return "\n".join(f"{name:16}{text}" for name, text in rows.items())


def main() -> None:
    """Run it all."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"stopped by signal {number}"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where to work; on a good end it is removed")
    parser.add_argument("--overlay", type=Path, default=ROOT / "configs/paper.yaml")
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--failure-rate", type=float, default=0.05, help="share of submissions to lose")
    parser.add_argument("--speed", type=float, default=1200.0, help="seconds asked for that pass in one")
    parser.add_argument("--root", type=Path, default=Path("/var/tmp/foley-slurm"), help="SLURM's own folder")
    chosen = parser.parse_args()
    folder = chosen.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    workflow = copy_workflow(folder / "repository")
    for script in (workflow / "workflow_scripts").glob("*.py"):
        script.write_text(_LOCAL_STUB)
    work, overlay = folder / "run", Path(shutil.copy(chosen.overlay, folder / "overlay.yaml"))
    try:
        jobs_to_do = plan(workflow, folder / "plan", overlay)
        print(f"{'jobs':16}{len(jobs_to_do)}, for {_N_CLIPS} clips", flush=True)
        files, script = folder / "files.json", folder / "job.sh"
        files.write_text(json.dumps(jobs_to_do))
        stub = Path(__file__).with_name("stub_job.py")
        script.write_text(
            _JOB_SCRIPT.format(python=sys.executable, stub=stub, speed=chosen.speed, files=files)
        )
        with cluster(chosen.root, nodes(chosen.nodes)) as slurm:
            started = time.monotonic()
            process = start(workflow, work, overlay, slurm, script)
            try:
                failures = disturb(process, slurm, chosen.failure_rate, random.Random(0))
            finally:
                stop(process)
            wall_s = time.monotonic() - started
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            time.sleep(3)  # the accounting lags behind
            jobs = slurm.jobs()
        print(report(jobs, failures, wall_s, used.ru_utime + used.ru_stime, chosen.speed), flush=True)
        if process.returncode:
            text = work.with_suffix(".txt").read_text(errors="replace")
            raise WrongError(f"ended with status {process.returncode}:\n{text[-4000:]}")
        if left := plan(workflow, work, overlay):
            raise WrongError(f"{len(left)} jobs are left to do: {', '.join(left)[:1000]}")
        print("every job of the plan was done, and nothing is left to do")
    except (WrongError, ClusterError, subprocess.TimeoutExpired) as error:
        sys.exit(f"WRONG: {error}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
