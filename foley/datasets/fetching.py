"""Many recordings fetched at once: locks, retries, waits, disk space, progress, ledger."""

import logging
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from foley.datasets.download import DownloadConfig
from foley.datasets.ledger import (
    TRANSIENT,
    Entry,
    is_settled,
    is_there,
    ledger_path,
    read_entry,
    write_entry,
)
from foley.datasets.ytdlp import NO_ROOM, FetchError, Order, check_order, fetch_file, one_line
from foley.errors import DiskFullError, FoleyError, StoreError
from foley.media.reasons import OK, Reason
from foley.provenance import file_sha256
from foley.seeds import numpy_generator
from foley.store.files import free_bytes, locked
from foley.store.manifests import Medium, Source, encode_path

logger = logging.getLogger(__name__)

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,180}")
_REPORT_EVERY_S = 10.0
_LOOK_AT_DISK_EVERY_S = 1.0


class StoppedError(Exception):
    """The run is being given up; this item with it."""


class Fetcher:
    """Fetches the recordings of one call of ``fetch_sources``.

    Parameters
    ----------
    config : DownloadConfig
    data_dir : Path
    folder : str
        Of the data set, in `data_dir`.
    seed : int
        Of the jitter.
    """

    def __init__(self, config: DownloadConfig, data_dir: Path, folder: str, seed: int) -> None:
        if not _SAFE_NAME.fullmatch(folder):
            raise FoleyError(f"{folder!r} cannot be a folder's name; use letters, digits, _ and -")
        self._config = config
        self._folder = folder
        self._root = data_dir / folder
        self._seed = seed
        self._cookies = _read_cookies(config.cookies_file)
        self._stop = threading.Event()
        self._hosts = _Hosts()
        self._disk_seen_s = 0.0
        self._progress = _Progress(0)

    def fetch(self, sources: Sequence[Source]) -> list[Medium]:
        """Fetch what is not settled; one row a source, in their order."""
        entries: dict[str, Entry | None] = {}
        todo = []
        for source in sources:
            entry = self._settled(source)
            entries[source.recording_id] = entry
            if entry is None:
                todo.append(source)
        known = [entry for entry in entries.values() if entry is not None]
        n_there = sum(entry.status == OK for entry in known)
        logger.info(
            "%d recordings asked for: %d are there, %d cannot be had, %d to fetch",
            *(len(entries), n_there, len(known) - n_there, len(todo)),
        )
        self._check_space(len(todo), [entry.n_bytes for entry in known if entry.status == OK])
        self._progress = _Progress(len(todo))
        for entry in self._run(todo):
            entries[entry.recording_id] = entry
        return [self._medium(source, entries[source.recording_id]) for source in sources]

    def _run(self, todo: list[Source]) -> list[Entry]:
        done: list[Entry] = []
        if not todo:
            return done
        with ThreadPoolExecutor(self._config.n_workers, thread_name_prefix="download") as pool:
            futures = [pool.submit(self._obtain, source) for source in todo]
            try:
                for future in as_completed(futures):
                    done.append(future.result())
                    self._progress.finished(done[-1].status == OK)
            except BaseException:
                self._stop.set()
                for future in futures:
                    future.cancel()
                raise
        self._progress.report()
        return done

    def _place(self, source: Source) -> Path:
        return self._root / source.label

    def _settled(self, source: Source) -> Entry | None:
        """What is known of a source for good, or None."""
        if not (_SAFE_NAME.fullmatch(source.label) and _SAFE_NAME.fullmatch(source.recording_id)):
            return _entry(source, Reason.UNSAFE_PATH, "no safe file name can be made of its id and label", 0)
        asked = (source.location, source.start_s, source.end_s)
        if not all(math.isfinite(time_s or 0.0) for time_s in asked[1:]):
            return _entry(source, Reason.TOO_SHORT, "its section has no beginning or no end", 0)
        place = self._place(source)
        entry = read_entry(ledger_path(place, source.recording_id))
        return entry if is_settled(entry, asked, place) else None

    def _obtain(self, source: Source) -> Entry:
        """Fetch one recording, unless another process does so meanwhile."""
        parts = self._root / ".parts" / source.label
        try:
            with locked(parts / source.recording_id):
                self._check_stop()
                return self._settled(source) or self._fetch(source, parts / source.recording_id)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise self._disk_full(error.strerror or "") from error
            raise StoreError(
                f"{self._root}: cannot be written to ({error}); correct its rights or set another data_dir"
            ) from error

    def _fetch(self, source: Source, work: Path) -> Entry:
        place = self._place(source)
        before = read_entry(ledger_path(place, source.recording_id))
        order = Order(source.location, source.start_s, source.end_s)
        if before is not None and self._put_back(before, order, place, work):
            return before
        self._clear_other(order, work)
        n_before = before.n_attempts if before is not None else 0
        generator = numpy_generator(self._seed, "download", source.recording_id)
        try:
            check_order(order)
        except FetchError as error:
            return self._give_up(source, error, place, work, n_before)
        host = urlsplit(order.url).netloc
        attempt = 0
        while True:
            pause_s = self._hosts.pause_s(host)
            if pause_s > self._config.max_backoff_s:
                busy = FetchError(Reason.RATE_LIMIT, f"the server asks to be left alone for {pause_s:.0f} s")
                return self._give_up(source, busy, place, work, n_before + attempt)
            self._wait(pause_s)
            attempt += 1
            try:
                path = fetch_file(order, work, self._config, cookies=self._cookies, on_bytes=self._arrived)
                return self._accept(source, path, place, work, n_before + attempt)
            except FetchError as error:
                self._check_stop()
                scale = 1.0 - self._config.jitter * float(generator.random())
                backoff_s = min(self._config.backoff_s * 2.0 ** (attempt - 1), self._config.max_backoff_s)
                pause_s = max(error.retry_after_s, backoff_s * scale)
                if error.reason == Reason.RATE_LIMIT:
                    self._hosts.leave_alone(host, pause_s)
                may_help = error.reason in TRANSIENT and attempt <= self._config.n_retries
                if not may_help or pause_s > self._config.max_backoff_s:
                    return self._give_up(source, error, place, work, n_before + attempt)
                logger.info("%s: %s; again in %.1f s", source.recording_id, error, pause_s)
                self._wait(pause_s)

    def _accept(self, source: Source, path: Path, place: Path, work: Path, n_attempts: int) -> Entry:
        """Take a file over. The ledger is written first: then a kill in between loses nothing."""
        place.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())  # a loss of power must not leave a ledger of bytes that never were
        entry = _entry(source, OK, "", n_attempts).model_copy(
            update={
                "file": f"{source.recording_id}{path.suffix}",
                "sha256": file_sha256(path),
                "n_bytes": path.stat().st_size,
            }
        )
        path.replace(work / entry.file)
        write_entry(ledger_path(place, source.recording_id), entry)
        (work / entry.file).replace(place / entry.file)
        shutil.rmtree(work, ignore_errors=True)
        return entry

    def _put_back(self, entry: Entry, order: Order, place: Path, work: Path) -> bool:
        """Finish what a kill interrupted between the two steps of taking a file over."""
        same = (entry.url, entry.start_s, entry.end_s) == (order.url, order.start_s, order.end_s)
        if not same or not is_there(entry, work) or file_sha256(work / entry.file) != entry.sha256:
            return False
        (work / entry.file).replace(place / entry.file)
        shutil.rmtree(work, ignore_errors=True)
        return True

    def _clear_other(self, order: Order, work: Path) -> None:
        """Part files of another address are no beginning of this one."""
        note = work / "address"
        text = f"{order.url}\n{order.start_s}\n{order.end_s}\n"
        if not note.is_file() or note.read_text(encoding="utf-8") != text:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            note.write_text(text, encoding="utf-8")

    def _give_up(self, source: Source, error: FetchError, place: Path, work: Path, n_attempts: int) -> Entry:
        place.mkdir(parents=True, exist_ok=True)
        entry = _entry(source, error.reason, one_line(str(error)), n_attempts)
        write_entry(ledger_path(place, source.recording_id), entry)
        if error.reason not in TRANSIENT:
            shutil.rmtree(work, ignore_errors=True)
        logger.warning("%s: %s (%s)", source.recording_id, entry.status, entry.detail)
        return entry

    def _arrived(self, n_bytes: int) -> None:
        """Count bytes, and look whether to go on."""
        self._check_stop()
        self._progress.arrived(n_bytes)
        now_s = time.monotonic()
        if now_s - self._disk_seen_s >= _LOOK_AT_DISK_EVERY_S:
            self._disk_seen_s = now_s
            free = free_bytes(self._root)
            if free < self._config.min_free_bytes:
                raise self._disk_full(
                    f"{free} bytes are free, download.min_free_bytes keeps {self._config.min_free_bytes}"
                )

    def _disk_full(self, found: str) -> DiskFullError:
        return DiskFullError(
            f"{self._root}: the disk is full ({found}); make room there, or set data_dir to a larger disk, "
            "then run the same command again: what is finished is kept"
        )

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError

    def _check_space(self, n_items: int, sizes: list[int]) -> None:
        if not n_items:
            return
        self._root.mkdir(parents=True, exist_ok=True)
        each = self._config.expected_bytes_per_item or (sum(sizes) // len(sizes) if sizes else 0)
        needed = n_items * each
        free = free_bytes(self._root)
        if free - needed < self._config.min_free_bytes:
            raise self._disk_full(
                f"{n_items} recordings of about {each} bytes are to come, {free} bytes are free, "
                f"download.min_free_bytes keeps {self._config.min_free_bytes}",
            )

    def _medium(self, source: Source, entry: Entry | None) -> Medium:
        if entry is None:
            raise FoleyError(f"{source.recording_id}: was not fetched")
        path = Path(self._folder) / source.label / entry.file
        return Medium(
            recording_id=source.recording_id,
            label=source.label,
            shard=source.shard,
            group=source.group,
            split=source.split,
            path=encode_path(path) if entry.file else "",
            sha256=entry.sha256,
            status=entry.status,
            detail=entry.detail,
        )


class _Hosts:
    """Until when each server asked to be left alone."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def leave_alone(self, host: str, seconds: float) -> None:
        with self._lock:
            self._until_s[host] = max(self._until_s.get(host, 0.0), time.monotonic() + seconds)

    def pause_s(self, host: str) -> float:
        with self._lock:
            return max(0.0, self._until_s.get(host, 0.0) - time.monotonic())


class _Progress:
    """What is done, failed and left, how fast bytes come, and when it will be over."""

    def __init__(self, n_items: int) -> None:
        self._lock = threading.Lock()
        self._n_items = n_items
        self._n_done = self._n_failed = self._n_bytes = 0
        self._began_s = self._reported_s = time.monotonic()

    def arrived(self, n_bytes: int) -> None:
        self._count(n_bytes=n_bytes)

    def finished(self, ok: bool) -> None:
        self._count(n_done=int(ok), n_failed=int(not ok))

    def _count(self, *, n_bytes: int = 0, n_done: int = 0, n_failed: int = 0) -> None:
        with self._lock:
            self._n_bytes += n_bytes
            self._n_done += n_done
            self._n_failed += n_failed
            due = time.monotonic() - self._reported_s >= _REPORT_EVERY_S
        if due:
            self.report()

    def report(self) -> None:
        """Write one line: only what was counted, and an end only when there is a rate to tell it from."""
        with self._lock:
            self._reported_s = time.monotonic()
            elapsed_s = max(1e-3, self._reported_s - self._began_s)
            n_over = self._n_done + self._n_failed
            n_left = self._n_items - n_over
            rest = f"about {n_left * elapsed_s / n_over:.0f} s to go" if n_over else "end not known yet"
            text = (
                f"{self._n_done} done, {self._n_failed} failed, {n_left} left; "
                f"{self._n_bytes} bytes, {self._n_bytes / elapsed_s:.0f} bytes/s; {rest}"
            )
        logger.info("%s", text)


def _entry(source: Source, status: str, detail: str, n_attempts: int) -> Entry:
    return Entry(
        recording_id=source.recording_id,
        url=source.location,
        start_s=source.start_s,
        end_s=source.end_s,
        status=str(status),
        detail=detail,
        n_attempts=n_attempts,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _read_cookies(path: str) -> str:
    if not path:
        return ""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FoleyError(f"{path}: cannot be read ({error}); correct download.cookies_file") from error
    if not re.match(r"# (Netscape )?HTTP Cookie File", text):
        raise FoleyError(f"{path}: is no Netscape cookie file (its first line says so); export it again")
    return text
