"""A real HTTP server on loopback that misbehaves on request, and remembers what it was asked."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 16_384


@dataclass
class Page:
    """What is at one address, and how it is served.

    `instead` are answers (status, headers) for the first requests, one each. `cut_after` closes the
    connection and `stall_after` falls silent after that many bytes of a body, in the first
    `n_faults` bodies that reach so far.
    """

    content: bytes = b""
    content_type: str = "video/mp4"
    ranges: bool = True
    etag: str = '"first"'
    declared_length: int | None = None
    location: str = ""
    instead: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cut_after: int | None = None
    stall_after: int | None = None
    drip: bool = False
    cookie: str = ""
    shift: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    n_faults: int = 1_000_000


@dataclass(frozen=True)
class Asked:
    """One request, and how it was answered."""

    path: str
    first_byte: int | None
    status: int


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that leave are no news."""


class Loopback:
    """The server: set `pages`, read `asked`."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.connections: set[socket.socket] = set()
        self.lock = threading.Lock()
        self.n_active = 0
        self.most_active = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        """Address of a page."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def requests(self, path: str) -> list[Asked]:
        """What was asked of one page, in order."""
        return [row for row in self.asked if row.path == path]

    def close(self) -> None:
        """End every stall, the server, and the threads of clients that keep a connection for later."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):  # it may have ended by itself
                    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving() -> Iterator[Loopback]:
    """Run a server while the block runs."""
    server = Loopback()
    try:
        yield server
    finally:
        server.close()


def _handler(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            # Small, so that a client that leaves early was not sent the whole body into buffers.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BLOCK)
            with server.lock:
                server.connections.add(self.connection)

        def finish(self) -> None:
            with server.lock:
                server.connections.discard(self.connection)
            super().finish()

        def log_message(self, *_: object) -> None:
            """Keep test output clean."""

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            page = server.pages.get(path)
            if page is None:
                return self._answer(path, 404, {})
            with server.lock:
                early = page.instead.pop(0) if page.instead else None
            if early is not None:
                return self._answer(path, *early)
            if page.location:
                return self._answer(path, 302, {"Location": page.location})
            if page.cookie not in self.headers.get("Cookie", ""):
                return self._answer(path, 403, {})
            with server.lock:
                server.n_active += 1
                server.most_active = max(server.most_active, server.n_active)
            try:
                self._body(path, page)
            except OSError:
                self.close_connection = True  # the client left
            finally:
                with server.lock:
                    server.n_active -= 1

        def _answer(self, path: str, status: int, headers: dict[str, str]) -> None:
            server.asked.append(Asked(path, None, status))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def _body(self, path: str, page: Page) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = 0, len(page.content) - 1
            if wanted and page.ranges:
                first, last = max(0, int(wanted[1]) - page.shift), min(int(wanted[2] or last), last)
                if first > last:
                    return self._answer(path, 416, {"Content-Range": f"bytes */{len(page.content)}"})
            partial = bool(wanted and page.ranges)
            server.asked.append(Asked(path, first if partial else None, 206 if partial else 200))
            self.send_response(206 if partial else 200)
            self.send_header("Content-Type", page.content_type)
            length = last + 1 - first if page.declared_length is None else page.declared_length
            self.send_header("Content-Length", str(length))
            if page.ranges:
                self.send_header("Accept-Ranges", "bytes")
            if partial:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(page.content)}")
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.etag:
                self.send_header("ETag", page.etag)
            self.end_headers()
            self._send(page, page.content[first : last + 1][:length], whole=length <= last + 1 - first)

        def _send(self, page: Page, body: bytes, *, whole: bool) -> None:
            fault = page.cut_after if page.cut_after is not None else page.stall_after
            with server.lock:
                faulty = fault is not None and page.n_faults > 0
            sent = 0
            while sent < len(body):
                size = min(1 if page.drip else BLOCK, len(body) - sent)
                if faulty and fault is not None:
                    size = min(size, fault - sent)
                    if size == 0:
                        return self._fail(page)
                self.wfile.write(body[sent : sent + size])
                sent += size
                if page.drip and server.closing.wait(0.05):
                    return None
            if not whole:
                self.close_connection = True
            return None

        def _fail(self, page: Page) -> None:
            with server.lock:
                page.n_faults -= 1
            if page.stall_after is not None:
                server.closing.wait(60)
            self.close_connection = True

    return Handler
