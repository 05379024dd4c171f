"""What several test files need: datagrams, captures, batches made by hand, and running the command line."""

import csv
import io
import itertools
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from flowfast.sinks import Account

FLOWFAST = [sys.executable, "-m", "flowfast"]


@dataclass(frozen=True)
class HandMadeBatch:
    """Anything with the attributes of `flowfast.Batch` is one, as far as sinks can tell."""

    rows: pa.RecordBatch
    table: str = "flows"
    kind: str = "flows"
    worker: int = 0
    interval_start: int = 0
    id: int = field(default_factory=itertools.count().__next__)

    @property
    def num_rows(self) -> int:
        return self.rows.num_rows

    def __arrow_c_array__(self, requested_schema=None):
        return self.rows.__arrow_c_array__(requested_schema)

    def __arrow_c_schema__(self):
        return self.rows.schema.__arrow_c_schema__()

    def to_ndjson(self) -> bytes:
        return b"".join(json.dumps(row).encode() + b"\n" for row in self.rows.to_pylist())

    def to_csv(self, header: bool) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows.schema.names, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(self.rows.to_pylist())
        return text.getvalue().encode()


SCHEMA = pa.schema([pa.field("src_port", pa.uint16(), metadata={"flowfast.semantic": "port"}), pa.field("bytes", pa.uint64())])


def hand_made(first: int, rows: int, **attributes) -> HandMadeBatch:
    """Rows whose `bytes` are `first`, `first` + 1 and so on, so that each can be found again."""
    columns = [pa.array([i % 65536 for i in range(first, first + rows)], pa.uint16()), pa.array(range(first, first + rows), pa.uint64())]
    return HandMadeBatch(pa.record_batch(columns, schema=SCHEMA), **attributes)


def lose(account: Account, rows: int, error: Exception) -> None:
    """A target gets a batch of so many rows, and loses it."""
    batch = hand_made(0, rows)
    account.hand(batch)
    account.lost([batch.id], error)


def netflow5(records: int, sequence: int = 0, unix_s: int = 1_790_000_000) -> bytes:
    """A NetFlow v5 datagram from 10.0.0.1 to 10.0.0.2 whose records have 100, 101, ... octets."""
    header = struct.pack(">HHIIIIBBH", 5, records, 60_000, unix_s, 0, sequence, 0, 0, 0)
    record = struct.Struct(">4s4s4sHHIIIIHHBBBBHHBBH")
    addresses = (bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), bytes([10, 0, 0, 254]))
    return header + b"".join(
        record.pack(*addresses, 1, 2, 3, 100 + i, 1000, 2000, 1024 + i, 443, 0, 0x1B, 6, 0, 64500, 64501, 24, 24, 0) for i in range(records)
    )


IPFIX_TEMPLATE = struct.pack(">HHIII", 10, 16 + 20, 1_790_000_000, 0, 7) + struct.pack(">HHHHHHHHHH", 2, 20, 256, 3, 8, 4, 12, 4, 1, 8)


def ipfix_data(records: int, template: int = 256, sequence: int = 0) -> bytes:
    """An IPFIX message with records of the template in `IPFIX_TEMPLATE`."""
    body = b"".join(struct.pack(">4s4sQ", bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 100 + i) for i in range(records))
    return struct.pack(">HHIII", 10, 16 + 4 + len(body), 1_790_000_000, sequence, 7) + struct.pack(">HH", template, 4 + len(body)) + body


def pcap(datagrams: Sequence[bytes], *, port: int = 2055, start_s: int = 1_790_000_000, step_s: int = 0) -> bytes:
    """A capture of raw IPv4 packets (LINKTYPE_RAW) from 192.0.2.1, `step_s` apart."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for index, payload in enumerate(datagrams):
        udp = struct.pack(">HHHH", 50_000, port, 8 + len(payload), 0) + payload
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
        packet = ip + udp
        out.append(struct.pack("<IIII", start_s + index * step_s, 0, len(packet), len(packet)) + packet)
    return b"".join(out)


def run(*arguments: str | Path, env: dict[str, str] | None = None, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [*FLOWFAST, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment(env), **options)


def environment(changes: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without flowfast's variables, with `changes`."""
    return {key: value for key, value in os.environ.items() if not key.startswith("FLOWFAST_")} | (changes or {})


class Collecting:
    """A `flowfast collect` that runs, with what it logged so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self._lines.put(line)

    def wait_for(self, event: str, timeout_s: float = 20) -> dict:
        """Read the log up to an event."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                self.log.append(json.loads(self._lines.get(timeout=left_s)))
            except queue.Empty:
                break
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"no {event} in {self.log}")

    def rest(self) -> str:
        """What stands on standard error after the events waited for, once the process has ended."""
        self._reader.join()
        return "".join(self._lines.get() for _ in range(self._lines.qsize()))

    def stop(self, number: signal.Signals = signal.SIGTERM, *, exit_code: int = 0) -> dict:
        """Signal it, wait for its end, which must be good unless told otherwise, and give its summary."""
        self.process.send_signal(number)
        summary = self.wait_for("summary")
        assert self.process.wait(20) == exit_code
        return summary


@contextmanager
def collecting(*arguments: str | Path, **options) -> Iterator[Collecting]:
    """Run `flowfast collect` on a free port of the loopback, ready to receive."""
    command = [*FLOWFAST, "collect", *map(str, arguments)]
    quiet = {} if "--http" in arguments else {"FLOWFAST_CFG_COLLECT_HTTP": "off"}  # tests run side by side, and have one port 8080
    options.setdefault("stdout", subprocess.PIPE)
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment(quiet | (options.pop("env", None) or {})), **options
    )
    running = Collecting(process)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        running.rest()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def send(port: int, datagrams: Sequence[bytes], host: str = "127.0.0.1") -> None:
    """Send datagrams to the loopback, from one socket."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (host, port))
