"""Draw the pictures of ``docs/procedural.md``: ``python -m benchmarks.procedural_sheets``.

Two recordings of each class are rendered, the first of ``ProceduralConfig(recordings_per_class=4)``
and the last, which is held out. Nobody picks them: what is shown is what the data set is like.
"""

import argparse
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.audit import Facts, contact_sheet, spectrogram_panels
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.procedural.make import list_recordings, make_recording
from foley.seeds import numpy_generator
from foley.store.files import atomic_path

MAX_BYTES = 300_000
_PALETTE_SIZES = (256, 128, 64, 32, 16)


def render(config: ProceduralConfig, folder: Path) -> list[Facts]:
    """Make the first and the last recording of each class in `folder`; training and held out in turn."""
    last = config.recordings_per_class - 1
    rows = [row for row in list_recordings(config) if row[0].endswith(("_0000", f"_{last:04d}"))]
    return [make_recording(*row, config, folder) for row in rows]


def indexed_png(rgb: NDArray[np.uint8], n_colours: int) -> bytes:
    """Encode a picture as a PNG with a palette, which OpenCV cannot write.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
        Picture.
    n_colours : int
        Size of the palette, at most 256; k-means on a sample of the pixels.

    Returns
    -------
    bytes
        The file.
    """
    pixels = rgb.reshape(-1, 3).astype(np.float32)
    sample = pixels[:: max(1, len(pixels) // 20_000)]
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 12, 0.0)
    _, _, centres = cv2.kmeans(sample, n_colours, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    palette = np.clip(np.round(centres), 0, 255).astype(np.uint8)
    # |p - c|^2 without |p|^2, which is the same for every colour.
    distance = (centres**2).sum(axis=1)[None] - 2 * pixels @ centres.T
    index = distance.argmin(axis=1).astype(np.uint8).reshape(rgb.shape[:2])
    lines = np.pad(index, ((0, 0), (1, 0))).tobytes()  # a leading 0: no filter
    header = struct.pack(">IIBBBBB", rgb.shape[1], rgb.shape[0], 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def write_small(source: Path, target: Path, width_px: int) -> None:
    """Rewrite a PNG at most `width_px` wide, with the largest palette that stays under `MAX_BYTES`."""
    picture = cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2RGB)
    scale = min(1.0, width_px / picture.shape[1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    files = (indexed_png(np.asarray(picture, dtype=np.uint8), n) for n in _PALETTE_SIZES)
    small = next((data for data in files if len(data) < MAX_BYTES), None)
    if small is None:
        raise ValueError(f"{target}: over {MAX_BYTES} bytes at {width_px} px; make it narrower")
    with atomic_path(target) as temporary:
        temporary.write_bytes(small)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render and write the three pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    config = ProceduralConfig(recordings_per_class=4)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = render(config, folder)
        held_out = [row for row in rows if row["held_out"]]
        order = numpy_generator(config.seed, "hidden sheet").permutation(len(held_out))
        hidden = [held_out[k] for k in order]
        contact_sheet(hidden, folder, folder / "hidden.png", labelled=False, n_frames=3, height_px=108)
        contact_sheet(rows, folder, folder / "named.png", height_px=80)
        training = [row for row in rows if not row["held_out"]]
        spectrogram_panels(training, folder, folder / "spectrograms.png")
        write_small(folder / "hidden.png", out / "procedural_hidden.png", 880)
        write_small(folder / "named.png", out / "procedural_named.png", 760)
        write_small(folder / "spectrograms.png", out / "procedural_spectrograms.png", 960)
    print("hidden sheet, left to right, line by line:", ", ".join(row["label"] for row in hidden))


if __name__ == "__main__":
    main()
