"""What a job of :mod:`tests.slurm.simulate` does on its node: sleep, then make its files, empty.

    python stub_job.py SPEED SCRIPT

SCRIPT is the job's own script, in which Snakemake wrote what the job is.
"""

import json
import random
import sys
import time
from pathlib import Path

_START = "# properties = "
_SHARE = (0.05, 0.5)
"""Jobs take this share of the time they ask for."""


def main(speed: float, script: str) -> None:
    """Do the job of a script."""
    line = next(line for line in Path(script).read_text().splitlines() if line.startswith(_START))
    properties = json.loads(line.removeprefix(_START))
    asked_s = 60 * properties["resources"]["runtime"]
    time.sleep(asked_s * random.uniform(*_SHARE) / speed)
    for name in properties["output"]:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
