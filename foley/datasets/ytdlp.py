"""One recording fetched with yt-dlp: what is asked, what came back, and why nothing did.

yt-dlp keeps part files and continues them, but trusts that the file on the server is still the same
one, takes a file that is 100 bytes short for whole, and leaves an empty file where a section cannot
be had. So each answer's length and validators are kept beside its part file and compared, and what
came back is counted and probed before it is believed.
"""

import errno
import io
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yt_dlp
from yt_dlp.downloader import get_suitable_downloader
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor
from yt_dlp.utils import ExtractorError, GeoRestrictedError, download_range_func

from foley.datasets.download import DownloadConfig
from foley.errors import FoleyError, MediaError, StoreError
from foley.media.ffmpeg import MediaFacts, cut_section, ffmpeg_binary, probe, section_codecs
from foley.media.reasons import Reason
from foley.store.files import read_json, write_json

logger = logging.getLogger(__name__)

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says of a full disk."""

_SECTION_TOLERANCE_S = 0.5
_SLOWEST_BYTES_S = 256
_MOST_DETAIL = 300
_LONGEST_ADDRESS = 4096
_LARGEST_PAGE_BYTES = 1 << 24
_LONGEST_PAGE_TIMEOUTS = 4.0
_ENDINGS = {
    "mov": ("mp4", "mov", "m4v", "m4a", "3gp"),
    "matroska": ("mkv", "webm", "mka"),
    "mpegts": ("ts", "mts"),
    "mpeg": ("mpg", "mpeg", "vob"),
    "ogg": ("ogg", "ogv", "oga", "opus"),
    "asf": ("wmv", "wma", "asf"),
}
_TEXTS = (
    (Reason.RATE_LIMIT, r"rate.?limit|too many requests|not a bot|captcha|unusual traffic|try again later"),
    (Reason.AGE_RESTRICTED, r"age.restricted|confirm your age|inappropriate for some users"),
    (
        Reason.REGION,
        r"(in|from|for) your (country|location|region)|geo.?(restrict|block)|not available in .* country",
    ),
    (
        Reason.PRIVATE,
        r"private|members.only|join this channel|\blog.?in\b|sign in|registered users|premium|password"
        r"|requires? (payment|purchase|authentication|a subscription)",
    ),
    (
        Reason.REMOVED,
        r"removed|terminated|no longer (available|exists)|copyright|deleted|does not exist|violat\w+",
    ),
    (
        Reason.UNSAFE_URL,
        r"no connection adapters|file:// urls are disabled|unsupported url scheme|invalid url",
    ),
    (
        Reason.NETWORK,
        r"got error:|timed out|connection|temporary failure|resolve|unable to download|incomplete|too short"
        r"|ffmpeg exited|partially|did not get any data|fragment \d+ not found",
    ),
    (
        Reason.UNAVAILABLE,
        r"unavailable|not available|unsupported url|no video formats|requested format|isn't available|\bdrm\b"
        r"|live event|premieres? in|offline|no video could be found|not a valid url|no suitable extractor",
    ),
)
_STATUSES = {
    401: Reason.PRIVATE,
    402: Reason.PRIVATE,
    403: Reason.FORBIDDEN,
    407: Reason.NETWORK,
    408: Reason.NETWORK,
    410: Reason.REMOVED,
    416: Reason.NETWORK,
    425: Reason.NETWORK,
    429: Reason.RATE_LIMIT,
    451: Reason.REGION,
}


class FetchError(MediaError):
    """A recording could not be had.

    Parameters
    ----------
    reason : str
        Reason code.
    message : str
        One line.
    retry_after_s : float
        How long the server asks to be left alone; 0 when it does not say.
    early : bool
        True when it failed before anything was known of the recording.
    """

    def __init__(self, reason: str, message: str, *, retry_after_s: float = 0.0, early: bool = False) -> None:
        super().__init__(reason, message)
        self.retry_after_s = retry_after_s
        self.early = early


@dataclass(frozen=True)
class Order:
    """What is asked for: an address, and a section of it in seconds where not all of it is wanted."""

    url: str
    start_s: float | None = None
    end_s: float | None = None

    @property
    def is_section(self) -> bool:
        """True when a part of the recording is asked for."""
        return self.start_s is not None or self.end_s is not None


def check_address(url: str) -> None:
    """Refuse what is not a plain web address.

    Parameters
    ----------
    url : str

    Raises
    ------
    FetchError
        ``unsafe_url`` for another scheme (``file:``, ``data:``, ``ytsearch:``), an option, an
        address without a host, or one that carries instructions to yt-dlp.

    Examples
    --------
    >>> check_address("https://www.youtube.com/watch?v=-a")
    >>> check_address("file:///etc/passwd")
    Traceback (most recent call last):
    foley.datasets.ytdlp.FetchError: 'file:///etc/passwd' is not a http or https address
    """
    if not url.isprintable() or re.search(r"[\s\\]", url) or len(url) > _LONGEST_ADDRESS:
        raise FetchError(Reason.UNSAFE_URL, f"{url[:80]!r} holds what no address holds")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise FetchError(Reason.UNSAFE_URL, f"{url[:80]!r} is not a http or https address")
    if "__youtubedl_smuggle" in url:
        raise FetchError(Reason.UNSAFE_URL, f"{url[:80]!r} carries instructions to yt-dlp")


def check_order(order: Order) -> None:
    """Refuse an order that nothing can fulfil.

    Raises
    ------
    FetchError
        What :func:`check_address` raises, or ``too_short`` for a section that holds nothing.
    """
    check_address(order.url)
    start_s, end_s = order.start_s or 0.0, order.end_s
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise FetchError(Reason.TOO_SHORT, f"the section from {start_s} to {end_s} s holds nothing")


def fetch_file(
    order: Order,
    folder: Path,
    config: DownloadConfig,
    *,
    cookies: str,
    on_bytes: Callable[[int], None],
) -> Path:
    """Fetch one recording or section into `folder`; part files there are continued.

    Parameters
    ----------
    order : Order
        It has passed :func:`check_order`.
    folder : Path
        Belongs to this order alone; nothing is written outside.
    config : DownloadConfig
    cookies : str
        Content of a Netscape cookie file, or nothing.
    on_bytes : callable
        Called with the number of bytes that arrived; what it raises ends the download.

    Returns
    -------
    Path
        A file in `folder`; its ending is that of its content.

    Raises
    ------
    FetchError
        With a reason code.
    OSError
        When there is no room, or the folder cannot be written to.
    """
    if order.is_section and not config.whole_files:
        try:
            return _fetch_section(order, folder / "section", config, cookies, on_bytes)
        except FetchError as error:
            if error.reason != Reason.NETWORK or error.retry_after_s or error.early:
                raise
            # Not every server and container lets ffmpeg jump; the whole file tells what is wrong.
            logger.debug("%s: no section (%s); fetching the whole file", order.url, error)
    path, _ = _ask(order, folder / "whole", config, cookies, on_bytes, section=False)
    facts = _probed(path)
    return _cut(path, facts, order) if order.is_section else _with_ending(path, facts)


def _fetch_section(
    order: Order, folder: Path, config: DownloadConfig, cookies: str, on_bytes: Callable[[int], None]
) -> Path:
    shutil.rmtree(folder, ignore_errors=True)  # ffmpeg cannot continue a section
    path, duration_s = _ask(order, folder, config, cookies, on_bytes, section=True)
    facts = _probed(path, Reason.NETWORK)
    start_s = order.start_s or 0.0
    ends = [] if duration_s is None else [duration_s - _SECTION_TOLERANCE_S]  # sites give whole seconds
    ends += [] if order.end_s is None else [order.end_s]
    if not ends or facts.duration_s < min(ends) - start_s - _SECTION_TOLERANCE_S:
        raise FetchError(Reason.NETWORK, f"{facts.duration_s:.2f} s came of the section from {start_s:.2f} s")
    on_bytes(path.stat().st_size)
    return _with_ending(path, facts)


def _cut(path: Path, facts: MediaFacts, order: Order) -> Path:
    start_s = order.start_s or 0.0
    end_s = facts.duration_s if order.end_s is None else min(order.end_s, facts.duration_s)
    if start_s >= end_s:
        raise FetchError(
            Reason.TOO_SHORT,
            f"the recording ends after {facts.duration_s:.2f} s, before the section from {start_s:.2f} s",
        )
    target = path.with_name("cut.mp4")
    try:
        cut_section(path, target, start_s=start_s, end_s=end_s)
    except MediaError as error:
        raise FetchError(error.reason, one_line(str(error).replace(str(path), path.name))) from error
    path.unlink()
    _probed(target)
    return target


def _probed(path: Path, reason: Reason | None = None) -> MediaFacts:
    """Probe what was fetched; a file that is no whole media file is removed."""
    try:
        facts = probe(path)
        if facts.duration_s <= 0:
            raise MediaError(Reason.DECODE_ERROR, "holds nothing that is shown or heard")
    except MediaError as error:
        path.unlink(missing_ok=True)
        said = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
        raise FetchError(reason or error.reason, one_line(f"what came back {said}")) from error
    if facts.cut_off_s > max(_SECTION_TOLERANCE_S, 0.02 * facts.duration_s):
        path.unlink(missing_ok=True)
        raise FetchError(
            reason or Reason.DECODE_ERROR,
            f"what came back lacks the last {facts.cut_off_s:.2f} s that its header promises",
        )
    return facts


def _with_ending(path: Path, facts: MediaFacts) -> Path:
    """Name a file after what it holds; the server's name is believed only where it agrees."""
    container = facts.container.split(",")[0]
    endings = _ENDINGS.get(container, (container,))
    ending = path.suffix.removeprefix(".")
    return path.rename(path.with_name(f"{path.stem}.{ending if ending in endings else endings[0]}"))


def _ask(
    order: Order,
    folder: Path,
    config: DownloadConfig,
    cookies: str,
    on_bytes: Callable[[int], None],
    *,
    section: bool,
) -> tuple[Path, float | None]:
    """Run yt-dlp; return its file, and the recording's duration where the site says it."""
    folder.mkdir(parents=True, exist_ok=True)
    # yt-dlp looks here, and only here, when it asks itself whether ffmpeg can fetch a section.
    FFmpegPostProcessor._ffmpeg_location.set(ffmpeg_binary())
    client: _Client | None = None
    info: Any = None
    try:
        with _Client(
            _parameters(order, config, cookies, section=section), folder, config, on_bytes
        ) as client:
            info = client.extract_info(order.url, download=False)
            _judge(info, order)
            done = client.process_ie_result(info, download=True)
            duration_s = info.get("duration")
            return client.checked(done), None if duration_s is None else float(duration_s)
    except FoleyError:
        raise
    except Exception as error:  # extractors for some 1800 sites raise anything
        pause_s = client.retry_after_s if client is not None else 0.0
        raise _translated(error, pause_s, early=info is None) from error


def _judge(info: Any, order: Order) -> None:
    if not info or info.get("_type", "video") != "video":
        raise FetchError(Reason.UNAVAILABLE, "the address leads to a list, not to one recording")
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
        raise FetchError(Reason.UNAVAILABLE, "the address leads to a live stream")
    duration_s = info.get("duration")
    if order.start_s is not None and duration_s is not None and order.start_s >= duration_s:
        raise FetchError(
            Reason.TOO_SHORT,
            f"the recording ends after {duration_s:.2f} s, before the section from {order.start_s:.2f} s",
        )


def _parameters(order: Order, config: DownloadConfig, cookies: str, *, section: bool) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "color": "no_color",
        "logger": _Silent(),
        "format": config.format,
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlist_items": "1:2",
        "cachedir": False,
        "updatetime": False,
        "ffmpeg_location": ffmpeg_binary(),
        "socket_timeout": config.timeout_s,
        # Foley waits and tries again itself: one place knows Retry-After, jitter and the ledger.
        "retries": 0,
        "fragment_retries": 0,
        "extractor_retries": 0,
        "skip_unavailable_fragments": False,
    }
    if cookies:
        parameters["cookiefile"] = io.StringIO(cookies)  # a copy, which yt-dlp may rewrite
    if config.rate_limit_bytes_s is not None:
        parameters["ratelimit"] = max(1, config.rate_limit_bytes_s // config.n_workers)
    if section:
        end_s = float("inf") if order.end_s is None else order.end_s
        parameters |= {
            "download_ranges": download_range_func([], [(order.start_s or 0.0, end_s)]),
            # Copied packets begin at the key frame before, and some containers then lose the sync.
            "force_keyframes_at_cuts": True,
            "external_downloader_args": {
                "ffmpeg_i": [
                    *("-protocol_whitelist", "http,https,tcp,tls,httpproxy,crypto"),
                    *("-rw_timeout", str(round(config.timeout_s * 1e6))),
                ],
                "ffmpeg_o": section_codecs(),
            },
        }
    return parameters


class _Silent:
    """Sends what yt-dlp says to Foley's debug log."""

    def debug(self, message: str) -> None:
        logger.debug("%s", one_line(message))

    info = warning = error = debug


class _Client(yt_dlp.YoutubeDL):  # type: ignore[misc]  # yt-dlp carries no types
    """A yt-dlp that writes to one folder and checks that a part file and an answer belong together."""

    def __init__(
        self,
        parameters: dict[str, Any],
        folder: Path,
        config: DownloadConfig,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._config = config
        self._on_bytes = on_bytes
        self._part: Path | None = None
        self._streams = False
        self._n_counted: dict[str, int] = {}
        self._pace = (time.monotonic(), 0)
        self.retry_after_s = 0.0
        super().__init__({**parameters, "progress_hooks": [self._count]})

    def prepare_filename(
        self, info_dict: Any, dir_type: str = "", *, outtmpl: str | None = None, warn: bool = False
    ) -> str:
        """One name whatever the title is: no template, so nothing in it is ever expanded."""
        ending = str(info_dict.get("ext") or "")
        if not re.fullmatch(r"[a-z0-9]{1,5}", ending):
            ending = "mkv"
        return str(self._folder / f"media.{ending}")

    def dl(self, name: str, info: Any, subtitle: bool = False, test: bool = False) -> Any:
        """Download one stream; a plain HTTP one is continued where that is safe."""
        for stream in info.get("requested_formats") or [info]:
            self._check_scheme(stream.get("url") or "")
        self._n_counted.clear()
        self._pace = (time.monotonic(), 0)
        if info.get("section_start") or info.get("section_end"):
            return super().dl(name, {**info, "ext": "mp4"}, subtitle, test)
        self._streams = True
        try:
            if get_suitable_downloader(dict(info), self.params) is HttpFD:
                return self._continue(Path(name), info)
            return super().dl(name, info, subtitle, test)
        finally:
            self._streams, self._part = False, None

    def _continue(self, name: Path, info: Any) -> Any:
        self._part = Path(f"{name}.part")
        self._sort_out(name, self._part)
        if self._part.exists():
            self._n_counted[str(self._part)] = self._part.stat().st_size
        answer = super().dl(str(name), info)
        _check_length(name, _facts_path(self._part))
        return answer

    @staticmethod
    def _check_scheme(url: str) -> None:
        if not re.match(r"https?://", url, re.IGNORECASE):
            raise FetchError(Reason.UNSAFE_URL, f"the page leads to {url[:80]!r}, which is no web address")

    def urlopen(self, req: Any) -> Any:
        """Open an address; anything but http and https is refused, wherever it was read."""
        self._check_scheme(req if isinstance(req, str) else req.url)
        try:
            response = super().urlopen(req)
        except HTTPError as error:
            self.retry_after_s = retry_after_s(error.response.headers.get("Retry-After"))
            if self._part is not None and error.status == 416:
                self._part.unlink(missing_ok=True)
                raise FetchError(Reason.NETWORK, "the server has less than it promised") from error
            raise
        self.retry_after_s = 0.0
        if self._part is not None:
            self._compare(self._part, req, response)
        if hasattr(response.fp, "read1") and hasattr(response, "_real_read"):
            response._real_read = self._piecewise(response) if self._streams else self._bounded(response)
        return response

    @staticmethod
    def _piecewise(response: Any) -> Callable[..., bytes]:
        """Give what is there, in place of waiting for a full block from a server that drips."""
        return lambda amount=None: bytes(response.fp.read1(amount, decode_content=True))

    def _bounded(self, response: Any) -> Callable[..., bytes]:
        """Read a page that yt-dlp wants to look into, unless it never ends."""
        ends_s = time.monotonic() + _LONGEST_PAGE_TIMEOUTS * self._config.timeout_s
        n_bytes = 0

        def read(amount: int | None = None) -> bytes:
            nonlocal n_bytes
            blocks: list[bytes] = []
            left = _LARGEST_PAGE_BYTES if amount is None else amount
            while left and (block := response.fp.read1(min(left, 1 << 16), decode_content=True)):
                blocks.append(block)
                left -= len(block)
                n_bytes += len(block)
                if n_bytes >= _LARGEST_PAGE_BYTES:
                    raise FetchError(Reason.TOO_LARGE, f"a page of more than {n_bytes} bytes")
                if time.monotonic() > ends_s:
                    raise FetchError(Reason.NETWORK, f"stalled: {n_bytes} bytes of a page came")
            return b"".join(blocks)

        return read

    def checked(self, done: Any) -> Path:
        """Find the file that came back."""
        downloads = done.get("requested_downloads") or [{}]
        path = Path(downloads[0].get("filepath") or self._folder / "nothing")
        if path.is_symlink() or not path.resolve().is_relative_to(self._folder.resolve()):
            raise FetchError(Reason.UNSAFE_PATH, "the file was put outside its folder")
        if not path.is_file():
            raise FetchError(Reason.NETWORK, "no file came back")
        return path

    def _sort_out(self, name: Path, part: Path) -> None:
        """Keep of an earlier try only what is known to be a beginning of the right file."""
        known = _read_facts(_facts_path(part))
        if known is None:
            name.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
            return
        total = known.get("total")
        if total is not None and part.exists():
            if part.stat().st_size == total:
                part.replace(name)
            elif part.stat().st_size > total:
                part.unlink()

    def _compare(self, part: Path, request: Any, response: Any) -> None:
        """Refuse to put together bytes of two different files."""
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range") or "")
        answered = re.match(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", response.headers.get("Content-Range") or "")
        first = int(asked[1]) if asked else 0
        facts: dict[str, Any] = {
            "etag": response.headers.get("ETag"),
            "modified": response.headers.get("Last-Modified"),
            "total": _total(response, answered),
        }
        facts_path = _facts_path(part)
        if response.status == 206:
            if answered is None or int(answered[1]) != first:
                part.unlink(missing_ok=True)
                raise FetchError(Reason.NETWORK, "the server answered with another range than was asked for")
            if first > 0:
                known = _read_facts(facts_path) or {}
                shared = [key for key, value in facts.items() if value and known.get(key)]
                if not shared or any(known[key] != facts[key] for key in shared):
                    part.unlink(missing_ok=True)
                    raise FetchError(Reason.NETWORK, "the file on the server changed between two tries")
                return
        part.unlink(missing_ok=True)  # before its facts are replaced: never old bytes with new facts
        write_json(facts_path, facts)

    def _count(self, status: Any) -> None:
        if status.get("status") != "downloading":
            return
        name, n_bytes = str(status.get("tmpfilename")), int(status.get("downloaded_bytes") or 0)
        fresh = n_bytes - self._n_counted.get(name, 0)
        self._n_counted[name] = n_bytes
        self._on_bytes(max(0, fresh))
        if max(n_bytes, int(status.get("total_bytes") or 0)) > self._config.max_bytes_per_item:
            raise FetchError(
                Reason.TOO_LARGE, f"more than {self._config.max_bytes_per_item} bytes (max_bytes_per_item)"
            )
        began, arrived = self._pace
        waited_s = time.monotonic() - began
        arrived += max(0, fresh)
        if waited_s < self._config.timeout_s:
            self._pace = (began, arrived)
        elif arrived < _SLOWEST_BYTES_S * waited_s:
            raise FetchError(Reason.NETWORK, f"stalled: {arrived} bytes in {waited_s:.0f} s")
        else:
            self._pace = (time.monotonic(), 0)


def _check_length(path: Path, facts_path: Path) -> None:
    """Compare a finished stream with what the server promised; yt-dlp forgives 100 bytes."""
    total = (_read_facts(facts_path) or {}).get("total")
    if total is not None and path.is_file() and path.stat().st_size != total:
        n_bytes = path.stat().st_size
        path.unlink()
        raise FetchError(Reason.NETWORK, f"{n_bytes} bytes came of {total} that the server promised")


def _facts_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_facts(path: Path) -> dict[str, Any] | None:
    try:
        facts = read_json(path)
    except (FileNotFoundError, StoreError):
        return None
    return facts if isinstance(facts, dict) else None


def _total(response: Any, content_range: re.Match[str] | None) -> int | None:
    if content_range is not None:
        return None if content_range[2] == "*" else int(content_range[2])
    length = response.headers.get("Content-Length") or ""
    return (
        int(length)
        if re.fullmatch(r"[0-9]{1,18}", length) and not response.headers.get("Content-Encoding")
        else None
    )


def retry_after_s(value: str | None) -> float:
    """Read a ``Retry-After`` header.

    Parameters
    ----------
    value : str or None
        Seconds or a date (RFC 9110, section 10.2.3); anything else counts as no header.

    Returns
    -------
    float
        How long to wait from now, in seconds.
    """
    if not value:
        return 0.0
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _translated(error: Exception, pause_s: float, *, early: bool) -> FoleyError | OSError:
    """Make a FetchError, or the error of a full disk, of whatever yt-dlp raised."""
    chain = list(_causes(error))
    text = one_line(str(error))
    for cause in chain:
        if isinstance(cause, FoleyError):
            return cause
        if isinstance(cause, OSError) and (cause.errno in NO_ROOM or cause.filename is not None):
            return cause  # of a file, not of a connection
    for number in NO_ROOM:
        if os.strerror(number) in text:  # ffmpeg's words
            return OSError(number, os.strerror(number))
    said = text or type(error).__name__
    return FetchError(reason_of(chain, text), said, retry_after_s=pause_s, early=early)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Every exception that stands behind another, nearest first."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        current = todo.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        behind = getattr(current, "exc_info", None) or ()
        todo += [*behind[1:2], getattr(current, "cause", None), current.__cause__, current.__context__]


def reason_of(chain: list[BaseException], text: str) -> Reason:
    """Reason code for what yt-dlp raised.

    Parameters
    ----------
    chain : list of exception
        The error and what stands behind it; a HTTP status or a kind of exception decides first.
    text : str
        What yt-dlp wrote, which decides otherwise.

    Returns
    -------
    Reason
        ``extractor_error`` for what nobody foresaw.
    """
    if any(isinstance(cause, GeoRestrictedError) for cause in chain):
        return Reason.REGION
    # Without the recording's name and addresses, whose words mean nothing.
    said = next((str(cause.orig_msg) for cause in chain if isinstance(cause, ExtractorError)), text)
    said = re.sub(r"\w+://\S+", "", said)
    status = next((cause.status for cause in chain if isinstance(cause, HTTPError)), None)
    if status is None and (found := re.search(r"HTTP Error (\d{3})", said)):
        status = int(found[1])
    spoken = _read(said)
    if status is not None:
        if status == 403 and spoken in (Reason.RATE_LIMIT, Reason.REGION, Reason.PRIVATE):
            return spoken
        fallback = Reason.NETWORK if status >= 500 or 300 <= status < 400 else Reason.UNAVAILABLE
        return _STATUSES.get(status, fallback)
    if any(isinstance(cause, TransportError | ConnectionError | TimeoutError) for cause in chain):
        return Reason.NETWORK
    return spoken or Reason.EXTRACTOR_ERROR


def _read(text: str) -> Reason | None:
    plain = text.replace("\u2019", "'").lower()
    return next((reason for reason, pattern in _TEXTS if re.search(pattern, plain)), None)


def one_line(text: str) -> str:
    r"""Write a message so that a table can hold it.

    Examples
    --------
    >>> one_line("ERROR: [youtube] x: Private\tvideo; please report this issue on  https://x")
    '[youtube] x: Private video'
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    plain = " ".join("".join(char if char.isprintable() else " " for char in plain).split())
    plain = re.sub(r"^ERROR: ", "", plain).split("; please report this issue on")[0]
    return plain if len(plain) <= _MOST_DETAIL else plain[: _MOST_DETAIL - 3] + "..."
