"""What was measured: the metrics table of all runs, looked up by experiment, metric and part."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy.special import stdtrit

from foley.errors import StoreError
from foley.metrics.evaluate import MetricRow
from foley.store.files import read_json
from foley.store.manifests import read_rows


@dataclass(frozen=True)
class Value:
    """One number of one experiment, over all of its seeds.

    Parameters
    ----------
    value : float or None
        Mean over the seeds; ``None`` where it is not defined, and then `note` says why.
    low, high : float or None
        With one seed the metric's own interval, over clips; with more the 95 % interval of the mean over
        seeds (Student's t), on the same clips.
    n : int or None
        Clips or events behind one seed's number; the smallest, where seeds differ.
    n_seeds : int
        How many seeds were averaged.
    unit, note : str
        As the metric gave them.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    n_seeds: int = 0
    unit: str = ""
    note: str = ""

    def times(self, factor: float, unit: str) -> "Value":
        """Return the same in another unit, `factor` (> 0) of which make one of the present unit."""
        scaled = [None if one is None else one * factor for one in (self.value, self.low, self.high)]
        return replace(self, value=scaled[0], low=scaled[1], high=scaled[2], unit=unit)


class Measured:
    """All metrics of all runs.

    Parameters
    ----------
    rows : iterable of MetricRow
        Content of ``metrics.tsv``.
    source : str
        File that they come from, named in errors.
    """

    def __init__(self, rows: Iterable[MetricRow], source: str) -> None:
        self.source = source
        self._rows: dict[tuple[str, str, str], list[MetricRow]] = defaultdict(list)
        for row in rows:
            self._rows[row.experiment, row.metric, row.part].append(row)

    @classmethod
    def read(cls, path: str | Path) -> "Measured":
        """Read ``metrics.tsv``; ManifestError where it breaks its contract."""
        return cls(read_rows(path, MetricRow), str(path))

    @property
    def experiments(self) -> list[str]:
        """Names of all experiments, sorted."""
        return sorted({experiment for experiment, _, _ in self._rows})

    def has(self, experiment: str, metric: str) -> bool:
        """Whether an experiment was scored by a metric."""
        return (experiment, metric, "") in self._rows

    def parts(self, experiment: str, metric: str) -> list[str]:
        """Paths of all parts of a metric, in the order of the file; empty where it was not scored."""
        return [part for one, other, part in self._rows if (one, other) == (experiment, metric)]

    def get(self, experiment: str, metric: str, part: str = "", *, absent: str | None = None) -> Value:
        """Look a number up.

        Parameters
        ----------
        experiment, metric : str
            Names in the configuration.
        part : str
            Path of a part, ``""`` for the headline.
        absent : str or None
            Note of the empty value that is returned when the metric has no such part.

        Raises
        ------
        StoreError
            If the experiment was not scored by the metric, or the metric has no such part and no
            `absent` was given.
        """
        headline = self._rows.get((experiment, metric, ""))
        if headline is None:
            raise StoreError(
                f"{self.source}: experiment {experiment!r} has no metric {metric!r}; add it to "
                f"experiments.{experiment}.metrics, or take the experiment out of report.rows"
            )
        rows = self._rows.get((experiment, metric, part))
        if rows is None:
            if all(row.value is None for row in headline):
                return Value(note=headline[0].note, unit=headline[0].unit)
            if absent is None:
                raise StoreError(
                    f"{self.source}: metric {metric!r} of experiment {experiment!r} has no part {part!r}; "
                    "score it again with this version"
                )
            return Value(note=absent)
        return over_seeds(rows)

    def difference(self, experiment: str, other: str, metric: str, part: str = "") -> Value:
        """Mean of `experiment` minus `other`, seed by seed, with the interval over those pairs.

        Raises
        ------
        StoreError
            As :meth:`get`.
        """
        known = self.get(experiment, metric, part), self.get(other, metric, part)
        values = [
            {row.seed: row.value for row in self._rows[name, metric, part] if row.value is not None}
            for name in (experiment, other)
        ]
        unit, n = known[0].unit, known[0].n
        differences = [
            values[0][seed] - values[1][seed] for seed in sorted(values[0].keys() & values[1].keys())
        ]
        if len(differences) < 2:
            return Value(note="needs two seeds that both experiments have", unit=unit)
        low, high = t_interval(differences)
        return Value(statistics.fmean(differences), low, high, n, len(differences), unit)


def over_seeds(rows: list[MetricRow]) -> Value:
    """Average one number over its seeds; with one seed keep the metric's interval."""
    known = [row for row in rows if row.value is not None]
    values = [row.value for row in known if row.value is not None]
    notes = "; ".join(dict.fromkeys(row.note for row in rows if row.note))
    if not known:
        return Value(n=rows[0].n, unit=rows[0].unit, note=notes or "not defined")
    if len(known) < len(rows):
        notes = "; ".join(filter(None, [f"defined for {len(known)} of {len(rows)} seeds", notes]))
    n = min(row.n for row in known)
    if len(known) == 1:
        return Value(values[0], known[0].ci_low, known[0].ci_high, n, 1, known[0].unit, notes)
    unit = known[0].unit
    low, high = t_interval(values)
    if unit == "proportion":
        low, high = max(0.0, low), min(1.0, high)
    return Value(statistics.fmean(values), low, high, n, len(values), unit, notes)


def t_interval(values: list[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of independent values, at least two, by Student's t distribution.

    Examples
    --------
    >>> low, high = t_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    half = float(stdtrit(len(values) - 1, 0.5 + level / 2)) * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.fmean(values)
    return mean - half, mean + half


def read_facts(paths: Iterable[str | Path]) -> dict[tuple[str, int], dict[str, Any]]:
    """Read the ``model.json`` of every run.

    Parameters
    ----------
    paths : iterable of path
        ``.../{experiment}/seed{seed}/model.json``.

    Returns
    -------
    dict
        ``(experiment, seed)`` to what is known of the run.

    Raises
    ------
    StoreError
        If a path does not lie in the folder of a run.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for path in sorted(map(Path, paths)):
        seed = path.parent.name.removeprefix("seed")
        if not (path.parent.name.startswith("seed") and seed.isdigit()):
            raise StoreError(f"{path}: is not in a folder <experiment>/seed<number>")
        found[path.parent.parent.name, int(seed)] = read_json(path)
    return found
