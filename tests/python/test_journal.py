"""The journal: after any crash every datagram that was in it is in the output, once."""

import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import collecting, netflow5, send
from trials import assert_told, sized, trial

ROUNDS = int(os.environ.get("FLOWFAST_SOAK_ROUNDS", sized("4", "50")))
"""How often a process is killed."""
RECORDS = 10
IPFIX_HEADER = struct.Struct(">HHIII")
TEMPLATE = IPFIX_HEADER.pack(10, 32, 1_790_000_000, 0, 7) + struct.pack(">HHHHHHHH", 2, 16, 256, 2, 8, 4, 1, 8)


def ipfix(first: int) -> bytes:
    """Records whose octets are `first`, `first` + 1 and so on, of a template that is sent only once."""
    body = b"".join(struct.pack(">4sQ", bytes([10, 0, 0, 1]), first + i) for i in range(RECORDS))
    return IPFIX_HEADER.pack(10, 20 + len(body), 1_790_000_000, first, 7) + struct.pack(">HH", 256, 4 + len(body)) + body


def netflow5_of(first: int) -> bytes:
    """The same in NetFlow v5."""
    datagram = bytearray(netflow5(RECORDS, sequence=first))
    for i in range(RECORDS):
        struct.pack_into(">I", datagram, 24 + 48 * i + 20, first + i)
    return bytes(datagram)


def packets(segment: Path) -> list[bytes]:
    """UDP payloads of the packets of a segment that were received, read without flowfast; a torn one at the end is left out."""
    octets = segment.read_bytes()
    assert octets[:4] == struct.pack("<I", 0xA1B23C4D)
    at, found = 24, []
    while at + 16 <= len(octets):
        (length,) = struct.unpack_from("<I", octets, at + 8)
        packet = octets[at + 16 : at + 16 + length]
        at += 16 + length
        if len(packet) == length and packet[16:20] != bytes([192, 0, 0, 8]):
            found.append(packet[28:])
    return found


def identities(payload: bytes) -> list[int]:
    """What a datagram of ours holds."""
    if payload[:2] == b"\0\5":
        return [struct.unpack_from(">I", payload, 24 + 48 * i + 20)[0] for i in range(RECORDS)]
    if payload[16:18] == b"\1\0":
        return [struct.unpack_from(">Q", payload, 20 + 12 * i + 4)[0] for i in range(RECORDS)]
    return []


def journaled(directory: Path) -> set[int]:
    """Records in the segments that are there, late ones left out."""
    return {each for path in directory.glob("[0-9]*.pcap") for payload in packets(path) for each in identities(payload)}


def written(out: Path) -> Counter[int]:
    """Records in committed files, and how often."""
    found: Counter[int] = Counter()
    for path in out.glob("flows/**/*.parquet"):
        found.update(pq.read_table(path, columns=["bytes"], partitioning=None)["bytes"].to_pylist())
    return found


class Sender(threading.Thread):
    """Sends numbered records until it is stopped, half of them of a template that came before."""

    def __init__(self, port: int, first: int) -> None:
        super().__init__(daemon=True)
        self.next = first
        self._port = port
        self._ending = threading.Event()

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            while not self._ending.is_set():
                for make in (netflow5_of, ipfix):
                    sender.sendto(make(self.next), ("127.0.0.1", self._port))
                    self.next += RECORDS
                time.sleep(0.0005)

    def stop(self) -> int:
        self._ending.set()
        self.join()
        return self.next


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@trial
@pytest.mark.parametrize("targets", [("parquet",), ("parquet", "arrow")])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path, targets, figures):
    moments = random.Random(7)
    port, first, owed = free_port(), 1000, set()
    flags = [flag for kind in targets for flag in ("--to", f"{kind}:{tmp_path}/{kind}")]
    flags += ["--listen", f"udp://127.0.0.1:{port}", "--rotate", "1s"]
    out, journal = tmp_path / "parquet", tmp_path / "parquet" / "journal"
    for turn in range(ROUNDS):
        with collecting(*flags) as running:
            running.wait_for("writing")
            if turn == 0:
                send(port, [TEMPLATE])
            sender = Sender(port, first)
            sender.start()
            time.sleep(moments.uniform(0.1, 2.5))
            running.process.kill()
            running.process.wait()
            first = sender.stop()
        owed |= journaled(journal) | written(out).keys()
        assert max(written(out).values(), default=1) == 1
    with collecting(*flags) as running:
        running.wait_for("writing")
        deadline = time.monotonic() + 30
        while any(journal.glob("[0-9]*.pcap")) and time.monotonic() < deadline:
            time.sleep(0.1)
        running.stop()
    found = written(out)
    figures(rounds=ROUNDS, records_journaled=len(owed), records_written=found.total(), lost=len(owed - found.keys()))
    assert not owed - found.keys()
    assert max(found.values()) == 1
    assert len(owed) > ROUNDS * 1000
    assert not [path.name for path in (out / ".incomplete").iterdir()]
    assert [path.name for path in journal.iterdir()] == ["templates-0.pcap"]
    # The ledger tells of what killed processes received, as of everything else.
    for kind in targets:
        assert_told(tmp_path / kind, found.total())
    if "arrow" in targets:
        rows = sum(pa.ipc.open_file(path).read_all().num_rows for path in (tmp_path / "arrow").glob("flows/**/*.arrow"))
        assert rows == found.total()
