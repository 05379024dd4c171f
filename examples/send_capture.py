"""Send the flow export packets of a capture to a collector on this machine, over UDP.

    python examples/send_capture.py udp://127.0.0.1:2055 tests/captures/*.pcap

Each capture is sent from a loopback address of its own, so that the collector sees as many exporters as there are captures.
Only little-endian microsecond pcap files with Ethernet frames and IPv4 are read: what tcpdump writes.
"""

import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

MAGIC, ETHERNET, IPV4, UDP = 0xA1B2C3D4, 1, 0x0800, 17


def udp_payloads(capture: Path) -> Iterator[bytes]:
    """The payload of every IPv4 UDP packet in a pcap file."""
    octets = capture.read_bytes()
    if len(octets) < 24 or struct.unpack_from("<I16xI", octets) != (MAGIC, ETHERNET):
        raise SystemExit(f"error: {capture} is not a little-endian pcap file of Ethernet frames")
    at = 24
    while at + 16 <= len(octets):
        (length,) = struct.unpack_from("<I", octets, at + 8)
        frame = octets[at + 16 : at + 16 + length]
        at += 16 + length
        ethertype, version_ihl, protocol = struct.unpack_from("!HB8xB", frame, 12)
        if (ethertype, protocol) == (IPV4, UDP):
            yield frame[14 + (version_ihl & 15) * 4 + 8 :]


def send(capture: Path, source: str, target: tuple[str, int]) -> int:
    """Send a capture's payloads in order, gently; returns how many."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        for payload in udp_payloads(capture):
            sock.sendto(payload, target)
            sent += 1
            if sent % 32 == 0:
                time.sleep(0.001)
    return sent


def main() -> None:
    """Send every capture named on the command line."""
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    target = urlsplit(sys.argv[1])
    for number, capture in enumerate(map(Path, sys.argv[2:]), start=1):
        try:
            sent = send(capture, f"127.0.1.{number}", (target.hostname or "127.0.0.1", target.port or 2055))
        except OSError as error:
            hint = "the target is an IPv4 address of this machine, such as udp://127.0.0.1:2055"
            raise SystemExit(f"error: cannot send {capture} to {sys.argv[1]}: {error.strerror}\nhint: {hint}") from None
        print(f"{sent:6} datagrams of {capture.name} from 127.0.1.{number}")


if __name__ == "__main__":
    main()
