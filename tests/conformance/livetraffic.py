"""Export traffic of 64 exporters with every fault mixed in, of which it is known to the record what must come of it.

Exporter n sends from 127.0.0.n, from four source ports in turn: v5 from one engine; v9 and IPFIX from four Observation Domains:
1 and 2 use one template id for different layouts, 3 sends data before its template, 4 never sends one. Templates come from the
first port only.

A flow has a number of its own in `bytes`; the other columns follow from it, so every row tells where it belongs.
"""

import itertools
import random
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

EXPORTERS = 64
PORTS = 4
UNIX_S, UPTIME_MS = 1_790_000_000, 60_000
TEMPLATE_ID = 256
MAX_RECORDS = 24
V5_ENGINE = 0x0102  # type 1, id 2
EARLY, ORPHAN = 3, 4  # domains whose data comes before its template, and without one
FIELDS_A = ((8, ">u4"), (12, ">u4"), (7, ">u2"), (11, ">u2"), (4, "u1"), (1, ">u8"), (2, ">u4"))
FIELDS_B = ((2, ">u8"), (4, "u1"), (11, ">u2"), (1, ">u4"), (12, ">u4"), (8, ">u4"), (7, ">u2"), (6, "u1"))
LAYOUTS = {1: FIELDS_A, 2: FIELDS_B, EARLY: FIELDS_A, ORPHAN: FIELDS_B}
V5_FIELDS = (("8", ">u4"), ("12", ">u4"), ("x", "V8"), ("2", ">u4"), ("1", ">u4"), ("y", "V8"), ("7", ">u2"), ("11", ">u2"))
V5_RECORD = np.dtype([*V5_FIELDS, ("z", "V1"), ("6", "u1"), ("4", "u1"), ("w", "V9")])
# A template is repeated after so many datagrams; one datagram in so many carries a fault; one in so many is not sent at all.
REFRESH, FAULTY, SKIPPED = 500, 20, 100
# Datagrams sent between two looks at the receiver's queue
BURST = 32


@dataclass(repr=False)
class Truth:
    """What must come of the traffic."""

    datagrams: int = 0
    discarded: Counter = field(default_factory=Counter)
    templates: int = 0
    keys: list[np.ndarray] = field(default_factory=list)  # of every record that must become a row
    recovered_sets: int = 0
    orphan_sets: int = 0
    orphan_octets: int = 0
    unknown_sets: int = 0
    sent: Counter = field(default_factory=Counter)  # datagrams, by exporter
    faulty: Counter = field(default_factory=Counter)  # datagrams that must be discarded, by exporter
    lost: Counter = field(default_factory=Counter)  # (exporter, domain)
    records: Counter = field(default_factory=Counter)  # (exporter, domain)

    @property
    def sorted_keys(self) -> np.ndarray:
        return np.sort(np.concatenate(self.keys))


def key_of(exporter: Any, domain: Any, number: Any) -> Any:
    """One number for a flow: exporter, domain, and its number there."""
    return (exporter << 56) | (domain << 40) | number


def packets_of(number: Any) -> Any:
    return (number * 2654435761) & 0xFFFFFFFF


class Stream:
    """Data datagrams of one exporter and domain, numbered on."""

    def __init__(self, exporter: int, version: int, domain: int, choose: random.Random, datagrams: int) -> None:
        self.exporter, self.version, self.domain = exporter, version, domain
        self.sequence = 0
        self._counts = [choose.randint(1, MAX_RECORDS) for _ in range(datagrams)]
        self._ends = list(itertools.accumulate(self._counts))
        self._records = self._make(self._ends[-1])
        self._next = 0

    def _make(self, count: int) -> np.ndarray:
        dtype = V5_RECORD if self.version == 5 else np.dtype([(str(e), kind) for e, kind in LAYOUTS[self.domain]])
        records = np.zeros(count, dtype)
        number = np.arange(count, dtype=np.uint64)
        ports, addresses = (number & 0xFFFF, (number >> 16) & 0xFFFF), (number + 0x0A000000, number + 0x0B000000)
        for element, values in zip((1, 2, 7, 11, 8, 12), (number, packets_of(number), *ports, *addresses), strict=True):
            records[str(element)] = values
        records["4"] = 17
        return records

    def data(self, extra_set: bool = False) -> tuple[bytes, int, np.ndarray]:
        """The next datagram, its units of sequence, and the keys of its records."""
        index, self._next = self._next, self._next + 1
        first, end = self._ends[index] - self._counts[index], self._ends[index]
        body = self._records[first:end].tobytes()
        if self.version != 5:
            body = struct.pack(">HH", TEMPLATE_ID, 4 + len(body)) + body
        if extra_set:
            body += struct.pack(">HHI", 200, 8, 0)
        units = 1 if self.version == 9 else end - first
        payload = self._header(body, end - first)
        self.sequence += units
        return payload, units, key_of(np.uint64(self.exporter), np.uint64(self.domain), np.arange(first, end, dtype=np.uint64))

    def template(self) -> bytes:
        fields = b"".join(struct.pack(">HH", element, np.dtype(kind).itemsize) for element, kind in LAYOUTS[self.domain])
        count = len(LAYOUTS[self.domain])
        payload = self._header(struct.pack(">HHHH", 0 if self.version == 9 else 2, 8 + len(fields), TEMPLATE_ID, count) + fields, 1)
        self.sequence += self.version == 9
        return payload

    def endless_set(self) -> bytes:
        """A set of length 0."""
        return self._header(struct.pack(">HH", TEMPLATE_ID, 0), 1)

    def _header(self, body: bytes, count: int) -> bytes:
        if self.version == 5:
            return struct.pack(">HHIIIIHH", 5, count, UPTIME_MS, UNIX_S, 0, self.sequence, V5_ENGINE, 0) + body
        if self.version == 9:
            return struct.pack(">HHIIII", 9, count, UPTIME_MS, UNIX_S, self.sequence, self.domain) + body
        return struct.pack(">HHIII", 10, 16 + len(body), UNIX_S, self.sequence, self.domain) + body


Sent = tuple[int, int, bytes]  # exporter, port, payload


def build(datagrams: int, seed: int, truth: Truth) -> list[Sent]:
    """`datagrams` datagrams, the exporters in turn."""
    share = datagrams // EXPORTERS
    exporters = [_exporter(n, share, random.Random(seed * 100 + n), truth) for n in range(1, EXPORTERS + 1)]
    return [sent for turn in zip(*exporters, strict=True) for sent in turn]


def _exporter(number: int, share: int, choose: random.Random, truth: Truth) -> list[Sent]:
    version = (5, 9, 10)[number % 3]
    domains = (V5_ENGINE,) if version == 5 else (1, 2)
    streams = [Stream(number, version, domain, choose, share + share // SKIPPED + 2) for domain in domains]
    sent: list[Sent] = []
    port = itertools.cycle(range(PORTS))

    def send(payload: bytes, from_port: int | None = None) -> None:
        sent.append((number, next(port) if from_port is None else from_port, payload))
        truth.datagrams += 1
        truth.sent[number] += 1

    def send_template(stream: Stream) -> None:
        send(stream.template(), 0)
        truth.templates += 1

    def send_data(stream: Stream) -> None:
        extra = version == 10 and choose.random() < 0.01
        payload, _, keys = stream.data(extra)
        send(payload)
        truth.unknown_sets += extra
        _deliver(truth, stream, keys)

    if version != 5:
        _without_template(number, version, choose, truth, send)
        for stream in streams:
            send_template(stream)
    for stream in streams:  # the first and the last of a stream arrive whole, so that every gap has two ends
        send_data(stream)
    while len(sent) < share - len(streams):
        stream = choose.choice(streams)
        if version != 5 and len(sent) % REFRESH == 0:
            send_template(stream)
        elif choose.random() < 1 / SKIPPED:
            _lose(truth, stream, stream.data()[1])
        elif choose.random() < 1 / FAULTY:
            payload, reason, lost = _faulty(stream, choose)
            send(payload)
            truth.discarded[reason] += 1
            truth.faulty[number] += 1
            _lose(truth, stream, lost)
        else:
            send_data(stream)
    for stream in streams:
        send_data(stream)
    return sent


def _without_template(number: int, version: int, choose: random.Random, truth: Truth, send: Any) -> None:
    early, orphan = (Stream(number, version, domain, choose, 4) for domain in (EARLY, ORPHAN))
    for _ in range(3):
        payload, _, keys = early.data()
        send(payload, 0)
        _deliver(truth, early, keys)
        truth.recovered_sets += 1
    send(early.template(), 0)
    truth.templates += 1
    for _ in range(2):
        payload = orphan.data()[0]
        send(payload, 0)
        truth.orphan_sets += 1
        truth.orphan_octets += len(payload) - (20 if version == 9 else 16) - 4


def _deliver(truth: Truth, stream: Stream, keys: np.ndarray) -> None:
    truth.keys.append(keys)
    truth.records[stream.exporter, stream.domain] += len(keys)


def _lose(truth: Truth, stream: Stream, units: int) -> None:
    truth.lost[stream.exporter, stream.domain] += units


def _faulty(stream: Stream, choose: random.Random) -> tuple[bytes, str, int]:
    """A datagram that must be discarded, the reason, and the units that are lost with it."""
    faults = ["unknown_version", "header_truncated", "truncated", *(["set_length"] if stream.version != 5 else [])]
    match choose.choice(faults):
        case "unknown_version":
            return struct.pack(">H", 77) + choose.randbytes(choose.randint(20, 1200)), "unknown_version", 0
        case "header_truncated":
            payload, units, _ = stream.data()
            return payload[: choose.randint(1, 15)], "header_truncated", units
        case "set_length":
            return stream.endless_set(), "set_length", 0
        case _:
            payload, units, _ = stream.data()
            reason = {5: "count_exceeds_length", 9: "set_overrun", 10: "message_length"}[stream.version]
            return payload[: -choose.randint(1, 12)], reason, units


def send_all(datagrams: list[Sent], port: int, queue_octets: int, rate: float) -> None:
    """Send, at most `rate` datagrams a second (0: as fast as they are read), and never let a socket's queue grow beyond `queue_octets`."""
    sockets = {}
    for exporter, source_port in itertools.product(range(1, EXPORTERS + 1), range(PORTS)):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"127.0.0.{exporter}", 0))
        sock.connect(("127.0.0.1", port))
        sockets[exporter, source_port] = sock
    started_s = time.monotonic()
    for number, (exporter, source_port, payload) in enumerate(datagrams):
        if number % BURST == 0:
            while longest_queue(port) > queue_octets or (rate and number > (time.monotonic() - started_s) * rate):
                time.sleep(0.0005)
        sockets[exporter, source_port].send(payload)


def longest_queue(port: int) -> int:
    """Octets of memory that datagrams take in the receive queue of the fullest socket on this port, as the kernel accounts them."""
    entries = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return max((int(entry[4].split(":")[1], 16) for entry in entries if int(entry[1].split(":")[1], 16) == port), default=0)
