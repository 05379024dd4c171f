"""Generated flows: as a pcap file, as trains of datagrams from `flowfast generate`, or as single datagrams.

As a program it sends the datagrams of a generated pcap over UDP, each in a system call of its own, as real exporters do:

    python bench/traffic.py ipfix-25.pcap 127.0.0.1 2055 --seconds 4
"""

import argparse
import json
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import run

FLOWFAST = [sys.executable, "-m", "flowfast"]
TICK_S = 0.001

PCAP_HEADER_OCTETS, PACKET_HEADER_OCTETS, IPV4_UDP_OCTETS = 24, 16, 28


@dataclass(frozen=True)
class Stream:
    """What `flowfast generate` exports: a format, the fields of a record and their order."""

    format: str
    template: str
    order: str = "canonical"

    @property
    def name(self) -> str:
        return self.template if self.order == "canonical" else f"{self.template}, {self.order}"

    @property
    def options(self) -> list[str]:
        order = [] if self.order == "canonical" else ["--order", self.order]
        return ["--format", self.format, "--template", self.template, *order]

    @property
    def pcap(self) -> str:
        return f"{self.template}-{self.order}.pcap"


V5 = Stream("v5", "v5")
V9 = Stream("v9", "v9-19")
IPFIX = Stream("ipfix", "ipfix-25")


def write_pcap(stream: Stream, count: int, scratch: Path, name: str | None = None) -> dict:
    """Write a pcap of `count` flows into `scratch`; returns what it holds."""
    _, output = run([*FLOWFAST, "generate", "--write", name or stream.pcap, *stream.options, "--count", str(count)], scratch)
    return json.loads(output)


def payloads(pcap: Path) -> Iterator[bytes]:
    """The datagrams in a pcap written by `flowfast generate`: packets of IPv4 without options, little-endian, no link header."""
    octets = pcap.read_bytes()
    at = PCAP_HEADER_OCTETS
    while at < len(octets):
        (length,) = struct.unpack_from("<I", octets, at + 8)
        at += PACKET_HEADER_OCTETS
        yield octets[at + IPV4_UDP_OCTETS : at + length]
        at += length


def send(pcap: Path, address: str, port: int, seconds: float) -> dict:
    """Send all datagrams, evenly over `seconds`; returns how many and in what time."""
    datagrams = list(payloads(pcap))
    sent, started = 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        while sent < len(datagrams):
            elapsed = time.monotonic() - started
            due = min(len(datagrams), int(len(datagrams) * elapsed / seconds) + 1)
            for datagram in datagrams[sent:due]:
                sock.send(datagram)
            sent = due
            time.sleep(TICK_S)
    return {"datagrams": sent, "elapsed_ns": int((time.monotonic() - started) * 1e9)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Send the datagrams of a generated pcap, each in a system call of its own.")
    parser.add_argument("pcap", type=Path)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long to take over it")
    options = parser.parse_args()
    print(json.dumps(send(options.pcap, options.address, options.port, options.seconds)))


if __name__ == "__main__":
    main()
