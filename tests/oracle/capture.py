"""Export datagrams out of pcap files, raw `.dat` datagrams and `.ipfix` message streams, in Python and independent of the product."""

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# Captures of other projects, which their licences keep out of this repository.
SHARED_CAPTURES = TESTS.parents[1] / "shared" / "captures"

ETHERTYPE_IPV4, ETHERTYPE_IPV6, UDP = 0x0800, 0x86DD, 17
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
# Files without packets carry no addresses and no time.
WRAPPED_SOURCE, WRAPPED_PORT = "192.0.2.1", 2055


@dataclass(frozen=True)
class Datagram:
    """One UDP datagram; `frame` counts the packets of its file from 1, as tshark does."""

    frame: int
    time_ns: int
    source: str
    source_port: int
    port: int
    payload: bytes


def datagrams(path: Path) -> Iterator[Datagram]:
    """All UDP datagrams of a capture, in order."""
    octets = path.read_bytes()
    if path.suffix == ".pcap":
        yield from _pcap(octets)
    elif path.suffix == ".ipfix":
        for frame, message in enumerate(messages(octets), 1):
            yield Datagram(frame, 0, WRAPPED_SOURCE, WRAPPED_PORT, 4739, message)
    else:
        yield Datagram(1, 0, WRAPPED_SOURCE, WRAPPED_PORT, 2055, octets)


def wrapped(payloads: Iterable[bytes], port: int) -> bytes:
    """A capture of raw IPv4 packets (LINKTYPE_RAW), one of each datagram."""
    octets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101)]
    for payload in payloads:
        udp = struct.pack(">HHHH", port, port, 8 + len(payload), 0) + payload
        packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0, bytes(4), bytes(4)) + udp
        octets.append(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    return b"".join(octets)


def messages(stream: bytes) -> Iterator[bytes]:
    """Messages of an IPFIX byte stream, framed by their length (RFC 7011 section 10.4.3)."""
    offset = 0
    while offset < len(stream):
        length = struct.unpack_from(">H", stream, offset + 2)[0]
        yield stream[offset : offset + length]
        offset += max(length, 16)


def _pcap(octets: bytes) -> Iterator[Datagram]:
    magic = octets[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit_ns = 1 if b"\x3c" in magic else 1000
    offset, frame = 24, 0
    while offset + 16 <= len(octets):
        seconds, fraction, length, _ = struct.unpack_from(order + "IIII", octets, offset)
        packet = octets[offset + 16 : offset + 16 + length]
        offset, frame = offset + 16 + length, frame + 1
        if found := _udp_of_ethernet(packet):
            yield Datagram(frame, seconds * 10**9 + fraction * unit_ns, *found)


def _udp_of_ethernet(packet: bytes) -> tuple[str, int, int, bytes] | None:
    offset = 12
    while (ethertype := struct.unpack_from(">H", packet, offset)[0]) in VLAN_TAGS:
        offset += 4
    ip = packet[offset + 2 :]
    if ethertype == ETHERTYPE_IPV4 and ip[9] == UDP:
        header = (ip[0] & 15) * 4
        return _udp(socket.inet_ntop(socket.AF_INET, ip[12:16]), ip[header:])
    if ethertype == ETHERTYPE_IPV6 and ip[6] == UDP:
        return _udp(socket.inet_ntop(socket.AF_INET6, ip[8:24]), ip[40:])
    return None


def _udp(source: str, segment: bytes) -> tuple[str, int, int, bytes]:
    source_port, port, length = struct.unpack_from(">HHH", segment)
    return source, source_port, port, segment[8:length]
