"""What to listen on and where to write: the URIs of `--listen` and `--to`."""

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qs, urlsplit

from flowfast.errors import UsageError, nearest_hint

Format = Literal["any", "netflow", "sflow"]
Listener = tuple[str, int, int, str]
"""(address, port, workers, format), as `_core.Collector` takes them."""

# `netflow`, `sflow` and `flow` are goflow2's schemes, accepted as its users have them in their units.
FORMATS: dict[str, Format] = {"udp": "any", "flow": "any", "netflow": "netflow", "sflow": "sflow"}
DEFAULT_LISTEN = ("udp://[::]:2055", "udp://[::]:4739", "udp://[::]:6343")
ROW_FORMATS = ("parquet", "arrow", "ndjson", "csv")
_QUERY_KEYS = ("count", "workers", "blocking", "queue_size")
_IGNORED_KEYS = ("workers", "queue_size")
_MAX_WORKERS = 256


@dataclass(frozen=True)
class ListenUri:
    """One listener. `host` may be empty: every address of this machine."""

    scheme: str
    host: str
    port: int
    workers: int | None = None
    blocking: bool | None = None
    ignored: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `udp://[::]:2055`, `netflow://:2055?count=4` and the like. Raises UsageError."""
        parts = _split(text, "a listener is written like `udp://[::]:2055` or `sflow://:6343?count=4`")
        if parts.scheme not in FORMATS:
            raise UsageError(f"`{text}` has an unknown scheme", nearest_hint(parts.scheme, FORMATS))
        if parts.path not in ("", "/"):
            raise UsageError(f"`{text}` has a path, and a listener has none", "write `udp://ADDRESS:PORT`")
        query = parse_qs(parts.query, keep_blank_values=True)
        for key in query:
            if key not in _QUERY_KEYS:
                raise UsageError(f"`{text}` has an unknown setting `{key}`", nearest_hint(key, _QUERY_KEYS))
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=_port(text, parts),
            workers=_count(text, query["count"][-1]) if "count" in query else None,
            blocking=query["blocking"][-1].lower() in ("true", "1") if "blocking" in query else None,
            ignored=tuple(key for key in _IGNORED_KEYS if key in query),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = [f"count={self.workers}"] if self.workers else []
        query += [f"blocking={str(self.blocking).lower()}"] if self.blocking is not None else []
        return f"{self.scheme}://{host}:{self.port}" + ("?" + "&".join(query) if query else "")

    def resolve(self, default_workers: int) -> Listener:
        """Address, port, workers and format, with a host name looked up. Raises UsageError if it has no address."""
        return (resolve(self.host), self.port, self.workers or default_workers, FORMATS[self.scheme])


def parse_listen(texts: str | list[str] | tuple[str, ...]) -> tuple[ListenUri, ...]:
    """Listeners of several flags or settings, each of which may hold several, separated by commas as goflow2 has them."""
    given = [texts] if isinstance(texts, str) else texts
    return tuple(ListenUri.parse(each.strip()) for text in given for each in text.split(",") if each.strip())


def parse_destination(text: str) -> tuple[str, int]:
    """Address and port of `udp://127.0.0.1:2055`. Raises UsageError."""
    parts = _split(text, "a destination is written like `udp://127.0.0.1:2055`; `--write FILE` writes a capture")
    if parts.scheme != "udp" or not parts.hostname:
        raise UsageError(f"`{text}` is no destination", "write it like `udp://127.0.0.1:2055`")
    if not (port := _port(text, parts)):
        raise UsageError(f"`{text}` sends to port 0, which nothing listens on", "write the collector's port")
    return resolve(parts.hostname), port


def resolve(host: str) -> str:
    """The address of a host, `::` for an empty one (or `0.0.0.0` where the kernel has no IPv6), which receives IPv4 too."""
    if host in ("", "::"):
        return "::" if _has_ipv6() else "0.0.0.0"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError as error:
        raise UsageError(f"no address found for `{host}`", "write an IP address, IPv6 in square brackets") from error


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def _split(text: str, hint: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port, parts.hostname
    except ValueError as error:
        raise UsageError(f"`{text}` is no valid URI", hint) from error
    if not parts.scheme or "://" not in text:
        raise UsageError(f"`{text}` is no URI", hint)
    return parts


def _port(text: str, parts: SplitResult) -> int:
    if parts.port is None:
        raise UsageError(f"`{text}` names no port", f"add one, such as `{parts.scheme}://{parts.netloc.rstrip(':') or '[::]'}:2055`")
    return parts.port


def _count(text: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= _MAX_WORKERS:
        raise UsageError(
            f"`{text}` has a count that is not between 1 and {_MAX_WORKERS}", "count is the number of workers, one thread each"
        )
    return int(value)


@dataclass(frozen=True)
class Target:
    """Where rows go: a format, and a directory that files rotate in, one file, standard output, or nowhere."""

    format: str
    layout: Literal["directory", "file", "stdout", "nowhere"]
    path: Path = Path()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `parquet:DIR`, `parquet:///abs/dir`, `x.parquet`, `-`, `null:`. Raises UsageError."""
        if text == "-":
            return cls("ndjson", "stdout")
        scheme, colon, rest = text.partition(":")
        if colon and scheme == "null":
            return cls("null", "nowhere")
        if colon and scheme in ROW_FORMATS:
            return cls(scheme, "directory", _directory(text, rest))
        suffix = Path(text).suffix.removeprefix(".")
        if suffix in ROW_FORMATS and "://" not in text:
            return cls(suffix, "file", Path(text))
        raise UsageError(f"`{text}` is no target", _target_hint(scheme if colon else suffix))

    @property
    def keeps_ledger(self) -> bool:
        """Whether the ledger lies beside the flows: in rotating files that hold types."""
        return self.layout == "directory" and self.format in ("parquet", "arrow")

    def __str__(self) -> str:
        if self.layout == "stdout":
            return "-"
        if self.layout == "nowhere":
            return "null:"
        return f"{self.format}:{self.path}" if self.layout == "directory" else str(self.path)


def _directory(text: str, rest: str) -> Path:
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise UsageError(f"`{text}` names no directory of this machine", "write `parquet:///absolute/dir` or `parquet:relative/dir`")
        rest = rest[2:]
    if not rest:
        raise UsageError(f"`{text}` names no directory", f"write one, such as `{text}flows`")
    return Path(rest)


def _target_hint(word: str) -> str:
    nearest = nearest_hint(word, (*ROW_FORMATS, "null")) if word else ""
    forms = "`parquet:DIR`, `arrow:DIR`, a file ending in .parquet, .arrow, .ndjson or .csv, `-` or `null:`"
    return nearest if nearest.startswith("did you mean") else f"targets are {forms}"
