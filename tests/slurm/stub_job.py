"""What a job of :mod:`tests.slurm.simulate` does on its node: sleep, then make its files, empty.

    python stub_job.py SPEED FILES SCRIPT

FILES says which files each job of the plan makes; SCRIPT is the job's own script, in which Snakemake wrote
which jobs of the plan it is.
"""

import json
import random
import shlex
import sys
import time
from pathlib import Path

_SHARE = (0.05, 0.5)
"""Jobs take this share of the time they ask for."""


def main(speed: float, files: str, script: str) -> None:
    """Do the jobs of a script."""
    _, properties, order, *_ = Path(script).read_text().splitlines()
    asked_s = 60 * json.loads(properties.partition("=")[2])["resources"]["runtime"]
    time.sleep(asked_s * random.uniform(*_SHARE) / speed)
    made = json.loads(Path(files).read_text())
    words = shlex.split(order)
    for job in words[words.index("--target-jobs") + 1 :]:
        if job.startswith("--"):
            break
        for path in map(Path, made[job]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir(exist_ok=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), *sys.argv[2:])
