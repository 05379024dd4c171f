"""Generated datagrams, and what every decoder of NetFlow v9 must do before it has records: learn templates and cut sets."""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PCAP_HEADER_OCTETS, PACKET_HEADER_OCTETS, IPV4_UDP_OCTETS = 24, 16, 28
V9_HEADER_OCTETS = 20

Fields = tuple[tuple[int, int], ...]
"""Type and length of each field of a record."""


def generate(format: str, template: str, flows: int, scratch: Path) -> tuple[list[bytes], int]:
    """Datagrams with so many flows, and the sum of octets in them."""
    pcap = scratch / f"{template}.pcap"
    what = ["--format", format, "--template", template, "--count", str(flows), "--write", str(pcap)]
    done = subprocess.run([sys.executable, "-m", "flowfast", "generate", *what], capture_output=True, check=True)
    return list(payloads(pcap)), json.loads(done.stdout)["octets"]


def payloads(pcap: Path) -> Iterator[bytes]:
    """The datagrams in a pcap of `flowfast generate`: IPv4 without options, little-endian, no link header."""
    octets = pcap.read_bytes()
    at = PCAP_HEADER_OCTETS
    while at < len(octets):
        (length,) = struct.unpack_from("<I", octets, at + 8)
        at += PACKET_HEADER_OCTETS
        yield octets[at + IPV4_UDP_OCTETS : at + length]
        at += length


def data_sets(datagrams: Sequence[bytes]) -> Iterator[tuple[Fields, memoryview]]:
    """The records of each NetFlow v9 data set, padding left out, and the fields of their template (RFC 3954)."""
    templates: dict[int, Fields] = {}
    for datagram in map(memoryview, datagrams):
        at = V9_HEADER_OCTETS
        while at < len(datagram):
            set_id, length = struct.unpack_from("!HH", datagram, at)
            body = datagram[at + 4 : at + length]
            at += length
            if set_id == 0:
                templates |= _templates(body)
            elif fields := templates.get(set_id):
                record = sum(octets for _, octets in fields)
                yield fields, body[: len(body) // record * record]


def _templates(body: memoryview) -> dict[int, Fields]:
    found, at = {}, 0
    while at + 4 <= len(body):
        template, count = struct.unpack_from("!HH", body, at)
        found[template] = tuple(struct.iter_unpack("!HH", body[at + 4 : at + 4 + 4 * count]))
        at += 4 + 4 * count
    return found
