"""The mean sound of each class: what AutoFoley adds its predictions to."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import foley
from foley.errors import StoreError
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardSet, ShardWriter
from foley.training.examples import read_clips


def average_class_spectrograms(
    *, audio_paths: Sequence[str], rows_paths: Sequence[str], averages_path: str
) -> None:
    """Average each class's representation over the training clips (AutoFoley, section III-C).

    Parameters
    ----------
    audio_paths : sequence of str
        Shards of the representation.
    rows_paths : sequence of str
        Tables of clips.
    averages_path : str
        Shard to write: item ``label`` with ``average (n_bins, n_frames)`` float32 and the attribute
        ``n`` (clips averaged). A class without training clips has an average of zeros and n = 0.

    Raises
    ------
    StoreError
        If no clip has features.
    """
    shards = ShardSet(list(audio_paths))
    rows = [row for row in read_clips(rows_paths) if row.clip_id in shards]
    if not rows:
        raise StoreError(f"none of the clips in {', '.join(rows_paths)} has sound features; see failures.tsv")
    shape = shards.read(rows[0].clip_id, "features").shape
    attributes = {
        "inputs": [file_sha256(path) for path in (*audio_paths, *rows_paths)],
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }
    with ShardWriter(averages_path, attributes) as writer:
        for label in sorted({row.label for row in rows}):
            if writer.done(label):
                continue
            ids = [row.clip_id for row in rows if row.label == label and row.split == "train"]
            total = np.zeros(shape, dtype=np.float64)
            for clip_id in ids:
                total += shards.read(clip_id, "features")
            average = (total / max(len(ids), 1)).astype(np.float32)
            writer.write(label, {"average": average}, {"n": len(ids)})
