"""Where figures find the results of a run, and what several of them need."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from foley.metrics.base import Score
from foley.metrics.evaluate import read_score
from foley.report.config import ReportConfig
from foley.store.manifests import Clip, Event, read_rows
from foley.store.shards import ShardSet


@dataclass(frozen=True)
class RunPaths:
    """Where a figure finds things.

    Parameters
    ----------
    results_dir, data_dir : Path
        Folder of results; folder that clip paths are relative to.
    dataset : str
        Data set of the run.
    experiments : mapping of str to sequence of int
        Seeds of every experiment.
    report : ReportConfig
        Which experiment stands for which model of the paper.
    """

    results_dir: Path
    data_dir: Path
    dataset: str
    experiments: Mapping[str, Sequence[int]]
    report: ReportConfig = field(default_factory=ReportConfig)

    @property
    def dataset_dir(self) -> Path:
        """Folder of the data set's results."""
        return self.results_dir / self.dataset

    def run(self, experiment: str, seed: int) -> Path:
        """Folder of one run."""
        return self.dataset_dir / "experiments" / experiment / f"seed{seed}"

    def clips(self) -> list[Clip]:
        """All clips, sorted by id."""
        rows = [row for path in self._clip_files("[0-9]*[0-9].tsv") for row in read_rows(path, Clip)]
        return sorted(rows, key=lambda row: row.clip_id)

    def events(self) -> list[Event]:
        """All events of all clips."""
        return [row for path in self._clip_files("*.events.tsv") for row in read_rows(path, Event)]

    def sounds(self) -> ShardSet:
        """Recorded sound of all clips."""
        return ShardSet(self._clip_files("*.h5"))

    def models(self) -> dict[str, str]:
        """Experiments that are the paper's models 1 and 2, as far as they are configured."""
        rows = self.report.rows.get("autofoley_table4") or self.report.rows.get("autofoley_table1") or {}
        return {title: rows[title] for title in ("Model 1", "Model 2") if title in rows}

    def scores(self, experiment: str, metric: str) -> list[Score]:
        """Scores of all seeds of an experiment; none where the metric was not computed."""
        paths = [
            self.run(experiment, seed) / f"metrics/{metric}.json" for seed in self.experiments[experiment]
        ]
        return [read_score(path) for path in paths if path.is_file()]

    def _clip_files(self, pattern: str) -> list[Path]:
        folder = self.dataset_dir / "clips"
        found = sorted(folder.glob(pattern))
        # A hidden or half-written shard (".part-", ".partial-") is no part of the data.
        return [path for path in found if ".part" not in path.name and path.is_file()]


def held_out_clips(paths: RunPaths) -> dict[str, list[Clip]]:
    """Test clips by label; one clip of each recording first, so that few clips show much."""
    by_label: dict[str, list[Clip]] = {}
    for clip in paths.clips():
        if clip.split == "test":
            by_label.setdefault(clip.label, []).append(clip)
    return {label: one_of_each_recording_first(by_label[label]) for label in sorted(by_label)}


def one_of_each_recording_first(clips: list[Clip]) -> list[Clip]:
    """Clips in an order that begins with one of each recording."""
    place: dict[str, int] = {}
    ranked = []
    for clip in clips:
        rank = place.get(clip.recording_id, 0)
        place[clip.recording_id] = rank + 1
        ranked.append((rank, clip.clip_id, clip))
    return [clip for _, _, clip in sorted(ranked, key=lambda entry: entry[:2])]


def blank(text: str) -> Figure:
    """Figure that says why there is none."""
    figure = Figure(figsize=(6, 1.5), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center")
    return figure


Curve = tuple[list[int], list[float]]
"""Lines of a ``curve.jsonl`` that hold a number, counted from 1, and the numbers."""


def read_curve(path: Path) -> dict[str, Curve]:
    """Read a ``curve.jsonl``: the numbers of each key, and in which lines; other values are left out."""
    found: dict[str, Curve] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        for key, value in json.loads(line).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                lines, values = found.setdefault(key, ([], []))
                lines.append(number)
                values.append(float(value))
    return found
