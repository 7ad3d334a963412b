"""``foley inspect``: what is in a shard, a manifest, a model folder or a media file."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from foley.errors import FoleyError
from foley.store.files import read_json
from foley.store.shards import ShardReader

_SHOWN_ROWS = 12
_SHOWN_PICTURES = 8


def inspect_path(path: Path, *, item: str | None = None, picture: Path | None = None) -> None:
    """Print what `path` holds; draw `item` (or the first one) into `picture`.

    Parameters
    ----------
    path : Path
        Shard (``.h5``), manifest (``.tsv``), folder of a trained model, or media file.
    item : str or None
        Item of a shard.
    picture : Path or None
        PNG file to draw into: frames, space-time images, features, spectrograms or waveforms.

    Raises
    ------
    FoleyError
        If the path is missing, or holds nothing that is known.
    """
    console = Console()
    if not path.exists():
        raise FoleyError(
            f"{path}: there is nothing there; give a shard, a manifest, a model folder or a film"
        )
    if path.is_dir():
        _show_model(path, console)
    elif path.suffix == ".h5":
        _show_shard(ShardReader(path), item, picture, console)
    elif path.suffix == ".tsv":
        _show_manifest(path, console)
    else:
        _show_medium(path, picture, console)


def _show_model(folder: Path, console: Console) -> None:
    facts_path = folder / "model.json"
    if not facts_path.is_file():
        raise FoleyError(f"{folder}: holds no model.json; give the folder of a trained model")
    console.print_json(json.dumps(read_json(facts_path)))
    curve = folder / "curve.jsonl"
    if curve.is_file():
        lines = [json.loads(line) for line in curve.read_text(encoding="utf-8").splitlines()]
        if lines:
            table = Table(*lines[0], title=str(curve))
            for line in lines[:: max(1, len(lines) // _SHOWN_ROWS)]:
                table.add_row(
                    *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in line.values())
                )
            console.print(table)


def _show_manifest(path: Path, console: Console) -> None:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    console.print(f"{path}: {len(rows)} rows")
    for column in ("label", "split", "status", "reason", "kind"):
        if rows and column in rows[0]:
            counts = Counter(row[column] for row in rows)
            console.print(
                f"  {column}: " + ", ".join(f"{key} {count}" for key, count in sorted(counts.items()))
            )
    if rows:
        table = Table(*rows[0])
        for row in rows[:_SHOWN_ROWS]:
            table.add_row(*map(str, row.values()))
        console.print(table)


def _show_shard(reader: ShardReader, item: str | None, picture: Path | None, console: Console) -> None:
    console.print(f"{reader.path}: {len(reader.items)} items")
    console.print_json(json.dumps(reader.attributes))
    if item is not None and item not in reader:
        raise FoleyError(f"{reader.path}: has no item {item!r}; it has {', '.join(reader.items[:5])} ...")
    table = Table("item", "array", "shape", "type", "attributes")
    for name in [item] if item else reader.items[:_SHOWN_ROWS]:
        attributes = json.dumps(reader.item_attributes(name))
        for array_name in reader.names(name):
            array = reader.read(name, array_name)
            table.add_row(name, array_name, str(array.shape), str(array.dtype), attributes)
            attributes = ""
    console.print(table)
    if picture is not None:
        chosen = item or next(iter(reader.items), None)
        if chosen is None:
            raise FoleyError(f"{reader.path}: has no items, so there is nothing to draw")
        arrays = {name: reader.read(chosen, name) for name in reader.names(chosen)}
        _draw(chosen, arrays, picture)
        console.print(f"drawn: {picture}")


def _show_medium(path: Path, picture: Path | None, console: Console) -> None:
    from foley.media.ffmpeg import probe
    from foley.media.video import iterate_frames

    facts = probe(path)
    table = Table("what", "value", title=str(path))
    for key, value in vars(facts).items():
        table.add_row(key, str(value))
    console.print(table)
    if picture is not None:
        wanted = np.linspace(0, facts.duration_s, _SHOWN_PICTURES, endpoint=False)
        frames: list[Any] = []
        for time_s, frame in iterate_frames(path, size_px=224):
            if len(frames) < len(wanted) and time_s >= wanted[len(frames)]:
                frames.append(frame)
        _draw(path.name, {"frames": np.stack(frames)}, picture)
        console.print(f"drawn: {picture}")


def _draw(title: str, arrays: dict[str, Any], target: Path) -> None:
    """Draw every array that has a natural picture, one row each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = {name: array for name, array in arrays.items() if array.ndim >= 1 and array.size > 1}
    if not rows:
        raise FoleyError(f"{title}: holds no array that can be drawn")
    figure, axes = pyplot.subplots(len(rows), 1, figsize=(12, 2.6 * len(rows)), squeeze=False)
    for axis, (name, array) in zip(axes[:, 0], rows.items(), strict=True):
        axis.set_title(f"{title}: {name} {array.shape}", fontsize=9)
        if array.ndim == 4:
            chosen = np.linspace(0, len(array) - 1, min(_SHOWN_PICTURES, len(array))).astype(int)
            axis.imshow(np.concatenate(list(array[chosen]), axis=1))
            axis.axis("off")
        elif array.ndim == 2:
            axis.imshow(array.astype(np.float32), aspect="auto", origin="lower", cmap="magma")
        else:
            axis.plot(array, linewidth=0.5)
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=90)
    pyplot.close(figure)
