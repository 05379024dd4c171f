"""Metrics, health and state over HTTP: for the loopback, without authentication, and of no consequence for reception.

Whoever connects gets one answer to one request. What a stranger can cost is bounded: connections at a time, octets of a request, seconds
for it, and how often an answer is made anew.
"""

import io
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from flowfast.errors import BindError, UsageError, reason
from flowfast.uris import resolve

MAX_CONNECTIONS = 8
"""Connections beyond it are closed unanswered."""
MAX_REQUEST_OCTETS = 16 << 10
REQUEST_S = 5.0
"""Time for a request to arrive, and then for its answer to be taken, in all."""
FRESH_S = 0.2
"""How long an answer is given again instead of being made anew."""

MAX_ROWS = 5000
"""Rows of a list that one answer has. Where there are more, its `Link` header says where they are (RFC 8288)."""

MAX_DIGITS = 9
"""Of an index. No list is longer."""

OFF = "off"


@dataclass(frozen=True)
class HttpAddress:
    """Where to serve HTTP; None: nowhere."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `127.0.0.1:8080`, `[::1]:8080` or `off`. Raises UsageError."""
        hint = "write `ADDRESS:PORT`, such as `127.0.0.1:8080`, or `off`"
        if text == OFF:
            return cls("", None)
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"`{text}` is no address for HTTP", hint) from error
        if not host or port is None or parts.netloc != text or "@" in parts.netloc:
            raise UsageError(f"`{text}` is no address for HTTP", hint)
        return cls(host, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return OFF if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True)
class Request:
    """What is asked of a page."""

    path: str
    accept: str = ""
    """The media type that is wanted: `OPENMETRICS` or empty."""
    first: int = 0
    """Of a list, the index of the row that the answer begins with: `?first=5000`."""


@dataclass(frozen=True)
class Answer:
    """What a page says."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    next: str | None = None
    """Where the list goes on."""

    @classmethod
    def text(cls, text: str, *, ok: bool = True) -> Self:
        """Lines for people; not `ok`: 503, for those who look at the status only."""
        return cls(f"{text}\n".encode(), status=HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE)

    @classmethod
    def json(cls, value: Any, *, next: str | None = None) -> Self:
        """A JSON document, in ASCII: whatever strings exporters sent, they are escaped."""
        return cls(json.dumps(value, default=str).encode() + b"\n", "application/json", next=next)

    @classmethod
    def rows(cls, take: Callable[[int, int], list[dict[str, Any]]], request: Request) -> Self:
        """The rows of a list that are asked for, a JSON array: `take` gives those from an index on, as many as wanted."""
        rows = take(request.first, MAX_ROWS + 1)
        more = f"{request.path}?first={request.first + MAX_ROWS}" if len(rows) > MAX_ROWS else None
        return cls.json(rows[:MAX_ROWS], next=more)


OPENMETRICS = "application/openmetrics-text"

Page = Callable[[Request], Answer]
"""Makes an answer. Calls of one page never overlap."""


class Endpoint:
    """An HTTP server in threads of its own. A context manager: it serves until it is left."""

    def __init__(self, address: HttpAddress, pages: Mapping[str, Page]) -> None:
        """Bind. Raises BindError and UsageError."""
        assert address.port is not None
        try:
            self._server = _Server((resolve(address.host), address.port), _Pages(pages))
        except OSError as error:
            raise BindError(
                f"cannot serve HTTP on {address}: {reason(error)}", "choose another address with --http, or `--http off`"
            ) from error
        host, port = self._server.server_address[:2]
        self.address = HttpAddress(str(host), int(port))
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Pages:
    """The answers: of one page made one at a time, and not more often than `FRESH_S`. A page that takes long keeps no other waiting."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.names = tuple(pages)
        self._pages = pages
        self._making = {name: threading.Lock() for name in pages}
        self._lock = threading.Lock()
        self._made: dict[Request, tuple[float, Answer]] = {}

    def answer(self, request: Request) -> Answer | None:
        """The page that is asked for, or None if there is none."""
        page = self._pages.get(request.path)
        if page is None:
            return None
        with self._making[request.path]:
            if (answer := self._fresh(request)) is None:
                answer = page(request)
                with self._lock:
                    self._made[request] = (monotonic(), answer)
            return answer

    def _fresh(self, request: Request) -> Answer | None:
        """What was made a moment ago; what is older is forgotten, of every page."""
        with self._lock:
            now_s = monotonic()
            self._made = {key: made for key, made in self._made.items() if now_s - made[0] < FRESH_S}
            return self._made[request][1] if request in self._made else None


def _request(target: str, accept: str) -> Request:
    """What a request asks for, as far as it means anything to us."""
    url = urlsplit(target)
    first = parse_qs(url.query).get("first", [""])[0]
    index = int(first) if first.isascii() and first.isdecimal() and len(first) <= MAX_DIGITS else 0
    return Request(url.path, OPENMETRICS if OPENMETRICS in accept else "", index)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], pages: _Pages) -> None:
        self.pages = pages
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves or stalls is no event of ours."""


class _Handler(BaseHTTPRequestHandler):
    """One request, read whole within its bounds before any of it is looked at."""

    server: _Server
    server_version = "flowfast"
    sys_version = ""

    def setup(self) -> None:
        self._deadline_s = monotonic() + REQUEST_S
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(self._request()))

    def _request(self) -> bytes:
        """The octets of a request up to its empty line; fewer, or none, if they do not come in time."""
        octets = b""
        while b"\r\n\r\n" not in octets and b"\n\n" not in octets and len(octets) < MAX_REQUEST_OCTETS:
            left_s = self._deadline_s - monotonic()
            if left_s <= 0:
                return b""
            self.connection.settimeout(left_s)
            try:
                more = self.connection.recv(4096)
            except OSError:
                return b""
            if not more:
                break
            octets += more
        self.connection.settimeout(REQUEST_S)
        return octets

    def do_GET(self) -> None:
        """Answer with a page, or the list of all at `/`."""
        request = _request(self.path, self.headers.get("Accept", ""))
        if request.path == "/":
            answer: Answer | None = Answer.text("\n".join(self.server.pages.names))
        else:
            answer = self.server.pages.answer(request)
        if answer is None:
            answer = Answer(b"no such page\n", status=HTTPStatus.NOT_FOUND)
        self.send_response(answer.status)
        for name, value in (
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        if answer.next is not None:
            self.send_header("Link", f'<{answer.next}>; rel="next"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are not events, and their text is a stranger's."""
