"""nfdump as an oracle: what nfcapd stores of a capture whose datagrams are sent to it over loopback."""

import json
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from .capture import datagrams

PACE_S = 0.002  # between datagrams: nothing may be lost on the way to the oracle


def run(path: Path) -> list[dict[str, Any]]:
    """nfdump's JSON of all flows. Counters of sampled flows are multiplied by nfcapd, start and end are rounded to milliseconds."""
    with tempfile.TemporaryDirectory() as directory:
        port = _free_port()
        nfcapd = subprocess.Popen(
            ("nfcapd", "-w", directory, "-b", "127.0.0.1", "-p", str(port), "-t", "86400"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(0.3)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", port))
                for datagram in datagrams(path):
                    sock.send(datagram.payload)
                    time.sleep(PACE_S)
            time.sleep(0.3)
        finally:
            nfcapd.send_signal(signal.SIGTERM)
            nfcapd.wait(10)
        stored = next(Path(directory).glob("nfcapd.*"))
        done = subprocess.run(("nfdump", "-r", str(stored), "-o", "json"), capture_output=True, check=True)
        return json.loads(done.stdout, strict=False) if done.stdout.strip() else []


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
