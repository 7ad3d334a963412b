"""How jobs are chosen and started on this machine. No rules here; nothing of it changes a result."""

import os
import subprocess
import sys
import time

from snakemake.script import PythonScript

from foley.forking import LOADED, ForkServer


def start_here():
    """Prepare to run many jobs on this machine; where they go to other machines, do nothing."""
    if workflow.local_exec:
        choose_jobs_when_one_ends()
        if CONFIG.fork_jobs and sys.platform == "linux":
            fork_scripts()


def choose_jobs_when_one_ends():
    """Keep a run on this machine from looking at all waiting jobs again and again.

    Where submissions are limited (by default they are), Snakemake chooses anew a second after every choice:
    an endless chain for each job that ends, together up to a third of a core in a run of 500 jobs (its pull
    request 3744 saw it too). Nothing is submitted here, and a job that ends lets it choose anyway.
    """
    workflow.scheduler.job_rate_limiter = None


def fork_scripts():
    """Let scripts start from a process that has loaded what they need (``foley/forking.py``).

    What needs another Python, or another number of threads, which libraries take when they are loaded,
    starts as ever.
    """
    threads = str(CONFIG.threads_per_job)
    own = {
        name: threads
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    }
    server = ForkServer(LOADED, {**os.environ, **own})
    start_anew = PythonScript.execute_script

    def execute_script(job, script, edit=False):
        elsewhere = job.conda_env or job.container_img or job.env_modules
        if edit or elsewhere or job.threads != CONFIG.threads_per_job:
            start_anew(job, script, edit)
            return
        temporary = job.resources.get("tmpdir")
        places = {"TMPDIR": temporary} if temporary else {}
        start_s = time.monotonic()
        ended = server.run(script, {**os.environ, **own, **places})
        # Exact, where Snakemake would look at a process now and then.
        if record := job.bench_record:
            record.running_time = time.monotonic() - start_s
            record.cpu_time = ended.cpu_s
            record.cpu_usage = 100 * ended.cpu_s
            record.max_rss = ended.peak_bytes / 2**20
            record.io_in = ended.read_bytes / 2**20
            record.io_out = ended.written_bytes / 2**20
            record.data_collected = True
        if ended.status:
            raise subprocess.CalledProcessError(ended.status, script)

    PythonScript.execute_script = execute_script
