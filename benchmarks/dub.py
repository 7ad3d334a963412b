"""``foley dub``: time and memory over the length of a film.

    python -m benchmarks.dub --model results/procedural/experiments/frame_sequence/seed0 --minutes 1 10 60

The film is made for the purpose: a minute of moving test pictures with sound, small and slow so that
decoding does not hide the rest, repeated without encoding it anew. Peak memory is that of a fresh
process, or of a program it runs, whichever is larger.
"""

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import machine, measure_alone, table
from foley.cli.dubbing import dub_film
from foley.media.ffmpeg import ffmpeg_binary


def make_minute(path: Path, fps: float) -> None:
    """Write a minute of film."""
    words = ["-f", "lavfi", "-i", f"testsrc2=size=160x90:rate={fps}:duration=60"]
    words += ["-f", "lavfi", "-i", "sine=frequency=300:beep_factor=4:duration=60"]
    words += ["-c:v", "libx264", "-g", "20", "-preset", "veryfast", "-c:a", "aac", "-shortest"]
    subprocess.run([ffmpeg_binary(), "-v", "error", "-y", *words, str(path)], check=True)


def repeat(path: Path, minute: Path, n_minutes: int) -> None:
    """Write the minute `n_minutes` times, copied."""
    words = ["-stream_loop", str(n_minutes - 1), "-i", str(minute), "-c", "copy"]
    subprocess.run([ffmpeg_binary(), "-v", "error", "-y", *words, str(path)], check=True)


def dub(film: Path, model: Path, n_threads: int) -> float:
    """Dub one film, into nothing; gives the seconds of film."""
    result = dub_film(
        video=film,
        output=film.with_name("dubbed.mp4"),
        model=model,
        label=None,
        seed=0,
        wav=None,
        cues=None,
        keep_original=True,
        device="cpu",
        n_threads=n_threads,
    )
    return result.n_samples / result.sample_rate_hz


def main() -> None:
    """Dub films of several lengths and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--model", type=Path, default=Path("results/procedural/experiments/frame_sequence/seed0")
    )
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    rows: list[list[str | float | int]] = []
    with TemporaryDirectory() as folder:
        minute = Path(folder) / "minute.mp4"
        make_minute(minute, chosen.fps)
        for n_minutes in chosen.minutes:
            film = Path(folder) / "film.mp4"
            repeat(film, minute, n_minutes)
            film_s, cost = measure_alone(dub, film, chosen.model, chosen.threads)
            rows.append([f"{n_minutes} min", film_s, cost.cpu_s / film_s, cost.peak_mib])
    for row in rows:
        row.append(float(row[3]) / float(rows[0][3]))
    print(machine())
    print(table(["film", "seconds", "CPU s / s of film", "peak MiB", "of the first"], rows))


if __name__ == "__main__":
    main()
