"""The collectors under test: each is started, fed, stopped, and asked what it has stored."""

import json
import re
import shutil
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measure import Process, Usage, run
from traffic import FLOWFAST

RECEIVE_BUFFER = 32 << 20
# pyarrow is large: see measure.py.
SUM_OCTETS = """
import sys, pyarrow.compute as pc, pyarrow.parquet as pq
print(sum(pc.sum(pq.ParquetFile(path).read(["bytes"])["bytes"]).as_py() for path in sys.argv[1:]))
"""
# Time for a collector to read what the kernel holds: nfcapd does not when it is told to end.
SETTLE_S = 0.5


@dataclass(frozen=True)
class Stored:
    """What a collector says it has. `octets` is the sum over flows, None where rows are not kept."""

    flows: int
    octets: int | None
    kernel_drops: int | None
    file_octets: int


@dataclass(frozen=True)
class Trial:
    """One stream into one collector. `start_up_s` is its CPU time until it was ready, `drain_s` the time it took to end."""

    usage: Usage
    start_up_s: float
    stored: Stored
    sent: dict
    drain_s: float


class Collector(ABC):
    """How to run one collector. `arguments(port)` is its command line."""

    name: str
    ready: str

    @abstractmethod
    def arguments(self, port: int) -> list[str]: ...

    @abstractmethod
    def port(self, output: str, asked: int) -> int:
        """The port it listens on, once ready."""

    @abstractmethod
    def stored(self, output: str, directory: Path) -> Stored: ...

    def collect(self, scratch: Path, send: Callable[[int], dict], settle_s: float = SETTLE_S) -> Trial:
        """Start it, have `send(port)` feed it, end it. Raises Failed."""
        directory = scratch / "collected"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        asked = _free_port()
        with Process(self.arguments(asked), directory, scratch / "collector.log") as process:
            process.wait_for(self.ready)
            start_up_s = process.cpu_so_far_s()
            sent = send(self.port(process.output, asked))
            time.sleep(settle_s)
            ending = time.monotonic()
            process.terminate()
            usage = process.wait()
            drain_s = time.monotonic() - ending
            trial = Trial(usage, start_up_s, self.stored(process.output, directory), sent, drain_s)
        shutil.rmtree(directory)
        return trial


class Flowfast(Collector):
    ready = '"event": "writing"'

    def __init__(self, target: str) -> None:
        self.target = target
        self.name = f"flowfast {target.rstrip(':')}"

    def arguments(self, port: int) -> list[str]:
        target = "parquet:." if self.target == "parquet" else self.target
        return [*FLOWFAST, "collect", "--listen", "udp://127.0.0.1:0", "--to", target]

    def port(self, output: str, asked: int) -> int:
        return int(_event(output, "listening")["port"])

    def stored(self, output: str, directory: Path) -> Stored:
        summary = _event(output, "summary")
        flows = summary["targets"][0]["records_written"]
        files = sorted(directory.glob("flows/**/*.parquet"))
        octets = int(run([sys.executable, "-c", SUM_OCTETS, *map(str, files)], directory)[1]) if files else None
        drops = summary["counters"].get("kernel_drops", 0)
        return Stored(flows, octets, drops, sum(path.stat().st_size for path in files))


class Nfcapd(Collector):
    ready = "Startup nfcapd"

    def __init__(self, *options: str) -> None:
        self._options = options
        self.name = " ".join(["nfcapd", *options])

    def arguments(self, port: int) -> list[str]:
        return ["nfcapd", "-w", ".", "-p", str(port), "-b", "127.0.0.1", "-t", "3600", "-B", str(RECEIVE_BUFFER), *self._options]

    def port(self, output: str, asked: int) -> int:
        return asked

    def stored(self, output: str, directory: Path) -> Stored:
        files = sorted(directory.glob("nfcapd.*"))
        told = [run(["nfdump", "-I", "-r", path.name], directory)[1] for path in files]
        flows, octets = (sum(int(n) for text in told for n in re.findall(rf"^{key}: (\d+)", text, re.M)) for key in ("Flows", "Bytes"))
        return Stored(flows, octets, None, sum(path.stat().st_size for path in files))


def have_nfcapd() -> bool:
    return all(shutil.which(program) for program in ("nfcapd", "nfdump"))


def _event(output: str, name: str) -> dict:
    entries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return next(entry for entry in reversed(entries) if entry.get("event") == name)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
