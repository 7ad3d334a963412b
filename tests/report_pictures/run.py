"""Look at the reports of a finished run in a real browser without network: Snakemake's, and our page.

Started by ``make report-pictures`` after ``make tables``, as root on a Debian machine (or as anybody where
Chromium is installed). Writes a picture of each, and fails if a page is blank, shows an error, or lacks what
it must show once its scripts have run.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import ROOT, snakemake_command

_SHOWN = {
    "snakemake": ("Workflow", "Statistics", "Tables", "Figures", "Provenance", "Whole page", "Data set"),
    "page": ("AutoFoley Table II", "REGNET", "FoleyGAN Table I", "Visual2Sound", "V2RA"),
}
_LEAST_COLOURS = 16


def browser() -> str:
    """Path of Chromium, which is installed where it is missing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *command], check=True)
    return "chromium"


def look(program: str, page: Path, picture: Path, height: int) -> str:
    """Take a picture of a page; gives what its document holds after its scripts have run, without them."""
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"]
        command += ["--no-first-run", "--disable-background-networking", "--virtual-time-budget=10000"]
        address = page.absolute().as_uri()
        subprocess.run(
            [*command, f"--window-size=1400,{height}", f"--screenshot={picture}", address],
            check=True,
            capture_output=True,
            timeout=120,
        )
        done = subprocess.run(
            [*command, "--dump-dom", address], check=True, capture_output=True, text=True, timeout=120
        )
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)


def main() -> None:
    """Make Snakemake's report, and look at both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--directory", type=Path, default=ROOT, help="folder of the finished run")
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="overlays of that run")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    report = chosen.folder / "snakemake.html"
    command = [*snakemake_command(ROOT, chosen.directory), "all", "--report", str(report.absolute())]
    if chosen.configfile:
        command += ["--configfile", *map(str, chosen.configfile)]
    subprocess.run(command, check=True, capture_output=True)
    pages = {"snakemake": report, "page": chosen.directory / "results/report.html"}
    program, wrong = browser(), []
    for name, page in pages.items():
        picture = chosen.folder / f"{name}.png"
        document = look(program, page, picture, height=900 if name == "snakemake" else 3000)
        colours = len(np.unique(np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3), axis=0))
        missing = [text for text in _SHOWN[name] if text not in document]
        print(f"{picture}: {colours} colours, {len(document)} characters in the document")
        if missing or colours < _LEAST_COLOURS:
            wrong.append(f"{page}: {colours} colours; does not show {', '.join(missing) or 'anything'}")
    if wrong:
        sys.exit("WRONG: " + "\n".join(wrong))


if __name__ == "__main__":
    main()
