"""``foley retry``: ask again for recordings that could not be had, and for nothing else."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import typer

from foley import config as configuration
from foley.datasets.ledger import forget
from foley.errors import FoleyError
from foley.media.reasons import Reason, cure
from foley.store.files import atomic_path
from foley.store.manifests import Medium, iterate_rows


def retry_failures(
    configs: list[Path], *, dataset: str | None, reasons: list[str], results: Path
) -> dict[str, int]:
    """Let the next run ask again for what failed for chosen reasons.

    The ledgers of these recordings are removed, and their shards get a note
    ``media/<shard>.again``, an input of the rule ``download_media``: so the workflow runs it again
    for these shards only, and it fetches these recordings only.

    Parameters
    ----------
    configs : list of Path
        ``config.yaml`` and overlays.
    dataset : str or None
        Name of a data set; None takes the configured one.
    reasons : list of str
        Reason codes.
    results : Path
        Folder of results.

    Returns
    -------
    dict of str to int
        Shard to the number of its recordings that will be asked for again.

    Raises
    ------
    FoleyError
        For a reason or a data set that is not there, or a data set that was never asked for.
    """
    config = configuration.read(*configs)
    name = dataset or config.dataset
    if name not in config.datasets:
        raise FoleyError(f"no data set is called {name!r}; there are {', '.join(sorted(config.datasets))}")
    known = sorted(reason.value for reason in Reason)
    if unknown := [reason for reason in reasons if reason not in known]:
        raise FoleyError(f"no reason is called {unknown[0]!r}; there are {', '.join(known)}")
    media = results / name / "media"
    tables = [path for path in sorted(media.glob("*.tsv")) if not path.name.endswith(".events.tsv")]
    if not tables:
        raise FoleyError(f"{media}: holds no table; run the workflow for the data set {name} first")
    found: Counter[str] = Counter()
    for table in tables:
        for row in iterate_rows(table, Medium):
            if row.status in reasons:
                forget(Path(config.data_dir), row.label, row.recording_id, reasons)
                found[row.shard] += 1
    for shard, number in found.items():
        with atomic_path(media / f"{shard}.again") as temporary:
            # Differs each time: a note that says the same is no news to Snakemake.
            when = datetime.now(UTC).isoformat()
            temporary.write_text(f"{when} {number} {','.join(reasons)}\n", encoding="utf-8")
    return dict(sorted(found.items()))


def print_retry(configs: list[Path], *, dataset: str | None, reasons: str, results: Path) -> None:
    """Do what :func:`retry_failures` does, and say what comes next."""
    chosen = [reason.strip() for reason in reasons.split(",") if reason.strip()]
    found = retry_failures(configs, dataset=dataset, reasons=chosen, results=results)
    if not found:
        typer.echo(f"Nothing failed for {', '.join(chosen)}.")
        return
    typer.echo(f"{sum(found.values())} recordings of {len(found)} shards will be asked for again:")
    typer.echo("run snakemake as before. What is there already is not fetched again.")
    for reason in chosen:
        typer.echo(f"  {reason}: {cure(reason)}")
