"""What a service manager is told and what it gives: sd_notify(3), its watchdog, and sd_listen_fds(3). Without one, nothing happens."""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from time import monotonic, monotonic_ns

from flowfast.uris import FORMATS

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""


class Notifier:
    """Tells the service manager about states of the service. A manager that does not listen is no fault of the service."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Read `$NOTIFY_SOCKET`, `$WATCHDOG_USEC` and `$WATCHDOG_PID`, and take them away from child processes."""
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_s = _watchdog_s(environment)
        self._fed_s = 0.0

    @property
    def watchdog_s(self) -> float | None:
        """The watchdog's patience, None if there is no watchdog."""
        return self._watchdog_s

    @property
    def is_heard(self) -> bool:
        """Whether there is a service manager to tell."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """The service has started, or has reloaded its configuration."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being reloaded; `ready` ends this."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """The service is ending."""
        self._send("STOPPING=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for people: `systemctl status` shows it."""
        self._send(f"STATUS={status}")

    def feed_watchdog(self) -> None:
        """Keep the watchdog quiet, no more often than it needs. A service that makes no progress must not call this."""
        if self._watchdog_s is not None and monotonic() - self._fed_s >= self._watchdog_s / 4:
            self._fed_s = monotonic()
            self._send("WATCHDOG=1")

    def extend_stop(self, seconds: float) -> None:
        """Stopping goes on: it needs so much more time."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(self._address)
            sender.sendall("\n".join(line.replace("\n", " ") for line in lines).encode())


def _watchdog_s(environment: MutableMapping[str, str]) -> float | None:
    usec, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 1e6 if usec.isdecimal() and int(usec) and pid == str(os.getpid()) else None


def inherited_sockets(environment: MutableMapping[str, str]) -> list[tuple[int, str]]:
    """Descriptors of the sockets that the service manager has bound for this process, each with the protocols that it takes.

    A socket that is named (`FileDescriptorName=`) `netflow` or `sflow` is restricted to that, as such a scheme does in a listener's URI.
    The variables are taken away from child processes.
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    formats = [FORMATS.get(names[index], "any") if index < len(names) else "any" for index in range(int(count))]
    return list(zip(descriptors, formats, strict=True))
