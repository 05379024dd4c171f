"""UDP sockets of any process, as the kernel lists them in /proc/net/udp (proc_net_udp(5))."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

POLL_S = 0.01
_READ_TIMEOUT_S = 30


class SocketState(NamedTuple):
    """One socket: octets that wait to be read, and datagrams (or trains) dropped so far."""

    waiting_octets: int
    drops: int


def socket_state(port: int) -> SocketState | None:
    """The sum over all sockets bound to a port, or None if there is none."""
    found = None
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                before = found or SocketState(0, 0)
                waiting = int(fields[4].rpartition(":")[2], 16)
                found = SocketState(before.waiting_octets + waiting, before.drops + int(fields[-1]))
    return found


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until `is_so`, `timeout_s` at most; whether it is."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def wait_until_read(port: int) -> bool:
    """Wait until nothing waits to be read at a port; False if it takes too long."""
    return wait_until(lambda: (state := socket_state(port)) is None or state.waiting_octets == 0, _READ_TIMEOUT_S)


def free_port() -> int:
    """A UDP port of 127.0.0.1 that nobody had a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
