"""``docs/results.md``: what came out of the last full run, for who has run nothing yet."""

import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from foley.errors import StoreError
from foley.report.costs import JobTime, costs_text, read_job_times
from foley.report.figures import CAPTIONS
from foley.report.page import read_provenance, table_files
from foley.store.files import atomic_path

_MAX_BYTES = 300_000
_CPU_FACTS = Path("/proc/cpuinfo")


def cpu_model(facts_path: Path = _CPU_FACTS) -> str:
    """Name of the processor, or its architecture where the system does not tell."""
    if facts_path.is_file():
        for line in facts_path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _job_hours(times: Mapping[str, list[JobTime]]) -> float | None:
    """Hours on the clock of all jobs, whichever ran side by side; ``None`` where none are known."""
    jobs = [job.clock_s for rule in times.values() for job in rule]
    return sum(jobs) / 3600 if jobs else None


def copy_image(source: Path, target: Path, max_bytes: int = _MAX_BYTES) -> None:
    """Copy a PNG; where it is larger than `max_bytes`, with fewer colours and then fewer pixels.

    Raises
    ------
    StoreError
        If the source is not a picture.
    """
    if source.stat().st_size < max_bytes:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if picture is None:
        raise StoreError(f"{source}: is not a picture; draw the figure again")
    scale = 1.0
    while True:
        height, width = picture.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        # 32 levels a colour: hardly visible, and half the bytes.
        coarse = np.minimum(small.astype(np.uint16) // 8 * 8 + 4, 255).astype(np.uint8)
        coarse[small >= 248] = 255
        data = cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
        if len(data) < max_bytes or scale < 0.05:
            break
        scale *= 0.9
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def _facts(provenance: Mapping[str, Any], hours: float | None, command: str) -> list[str]:
    machine, git = provenance["environment"], provenance["git"]
    versions = machine.get("versions", {})
    commit = git.get("commit") or "not in a checkout"
    names = ("torch", "numpy", "opencv-contrib-python-headless", "snakemake")
    packages = ", ".join(f"{name} {versions.get(name)}" for name in names)
    lines = [
        f"| Date | {provenance['date']} |",
        f"| Commit | `{commit}`{' with uncommitted changes' if git.get('dirty') else ''} |",
        f"| Machine | {cpu_model()}, {machine.get('cpus', '?')} cores, {machine.get('system', '')} |",
        f"| Python | {machine.get('python', '')}; {packages} |",
        f"| Data set | `{provenance['dataset']}`, seed {provenance['seed']} |",
        f"| Scale | {' '.join(str(provenance['scale']).split())} |",
        f"| Command | `{command}` |",
    ]
    if hours is not None:
        lines.append(f"| Time in jobs | {hours:.2f} h, summed over jobs that ran side by side |")
    return lines


def write_results_page(
    *, results_dir: str | Path, docs_dir: str | Path, command: str = "make tables"
) -> None:
    """Write ``results.md`` and its images from a finished run.

    Parameters
    ----------
    results_dir : path
        Folder of a finished run: ``tables/``, ``figures/``, ``report.html``.
    docs_dir : path
        Folder to write ``results.md`` and ``images/*.png`` (each under 300 kB) into.
    command : str
        What a reader types to get the same.

    Raises
    ------
    StoreError
        If the run is not finished.
    """
    results, docs = Path(results_dir), Path(docs_dir)
    provenance = read_provenance(results / "report.html")
    times = read_job_times(results / "benchmarks")
    tables = table_files(results / "tables", "md")
    figures = sorted(
        (results / "figures").glob("*.png"), key=lambda path: (path.stem != "contact_sheet", path.stem)
    )
    for figure in figures:
        copy_image(figure, docs / "images" / figure.name)
    lines = [
        "# Results of the last full run",
        "",
        "Written by `foley results-page`; do not edit. Every number below comes from the files of that run.",
        "",
        "| | |",
        "| --- | --- |",
        *_facts(provenance, _job_hours(times), command),
        "",
        *(["## Where the time went", "", costs, ""] if (costs := costs_text(times)) else []),
        "## Figures",
        "",
    ]
    for figure in figures:
        caption = CAPTIONS.get(figure.stem, figure.stem)
        lines += [f"![{caption}](images/{figure.name})", "", caption, ""]
    lines += ["## Tables", ""]
    for path in tables:
        lines += [path.read_text(encoding="utf-8"), ""]
    with atomic_path(docs / "results.md") as temporary:
        temporary.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
