"""The packet inside a tunnel: flowfast and tshark read the same headers out of one sampled packet (FF-SF-02)."""

import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

import flowfast

ETHERNET, IPV4, IPV6, BRIDGED = 1, 0x0800, 0x86DD, 0x6558
TCP_SEGMENT = struct.pack(">HHIIBBHHH", 50000, 443, 1, 0, 0x50, 0x12, 1024, 0, 0)


def ipv4(protocol: int, source: str, destination: str, payload: bytes) -> bytes:
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return header + socket.inet_aton(source) + socket.inet_aton(destination) + payload


def ipv6(next_header: int, payload: bytes) -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    return struct.pack(">IHBB", 6 << 28, len(payload), next_header, 64) + addresses + payload


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", 49152, port, 8 + len(payload), 0) + payload


def ethernet(ethertype: int, payload: bytes) -> bytes:
    return bytes.fromhex("020000000002020000000001") + struct.pack(">H", ethertype) + payload


INNER = ipv4(6, "192.0.2.10", "198.51.100.20", TCP_SEGMENT)
TUNNELS = {
    "ip in ip": (4, INNER),
    "ipv6 in ip": (41, ipv6(6, TCP_SEGMENT)),
    "gre": (47, struct.pack(">HHI", 0x2000, IPV4, 7) + INNER),
    "nvgre": (47, struct.pack(">HHI", 0x2000, BRIDGED, 0x1234 << 8) + ethernet(IPV4, INNER)),
    "vxlan": (17, udp(4789, struct.pack(">II", 0x08 << 24, 5000 << 8) + ethernet(IPV4, INNER))),
    "geneve": (17, udp(6081, struct.pack(">BBHI", 1, 0, BRIDGED, 6000 << 8) + struct.pack(">HBB", 0xFFFF, 1, 0) + ethernet(IPV4, INNER))),
}


def sflow(packet: bytes) -> bytes:
    """A v5 datagram with one flow sample of a raw header."""
    padded = packet.ljust(-(-len(packet) // 4) * 4, b"\0")
    record = struct.pack(">IIII", ETHERNET, len(packet), 0, len(packet)) + padded
    sample = struct.pack(">IIIIIIII", 1, 3, 100, 100, 0, 1, 2, 1) + struct.pack(">II", 1, len(record)) + record
    header = struct.pack(">II", 5, 1) + socket.inet_aton("192.0.2.99") + struct.pack(">IIII", 0, 1, 1000, 1)
    return header + struct.pack(">II", 1, len(sample)) + sample


def capture(path: Path, payload: bytes) -> Path:
    packet = ethernet(IPV4, ipv4(17, "192.0.2.99", "192.0.2.98", udp(6343, payload)))
    path.write_bytes(
        struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet
    )
    return path


def by_tshark(path: Path) -> list[list[str]]:
    """Sources, destinations and ports of every header within the datagram, outermost first; the datagram's own left out."""
    fields = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "gre.key", "vxlan.vni", "geneve.vni"]
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "occurrence=a", *(arg for field in fields for arg in ("-e", field))]
    columns = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n").split("\t")
    return [column.split(",") if column else [] for column in columns]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("name", TUNNELS)
def test_tunnel(name: str, tmp_path: Path) -> None:
    protocol, payload = TUNNELS[name]
    path = capture(tmp_path / "tunnel.pcap", sflow(ethernet(IPV4, ipv4(protocol, "203.0.113.1", "203.0.113.2", payload))))
    sources, destinations, sources6, destinations6, source_ports, destination_ports, keys, *networks = by_tshark(path)
    (batch,) = flowfast.read(path, columns=["full"])
    (row,) = pa.record_batch(batch).to_pylist()
    assert [text(row["src_addr"]), text(row["inner_src_addr"])] == [*sources[1:], *sources6]
    assert [text(row["dst_addr"]), text(row["inner_dst_addr"])] == [*destinations[1:], *destinations6]
    assert ([str(row["inner_src_port"])], [str(row["inner_dst_port"])]) == (source_ports, destination_ports)
    told = [int(number, 0) for numbers in networks for number in numbers]
    told += [int(key, 0) >> (8 if name == "nvgre" else 0) for key in keys]
    assert ([] if row["tunnel_id"] is None else [row["tunnel_id"]]) == told


def text(address: bytes) -> str:
    if address[:12] == bytes(10) + b"\xff\xff":
        return socket.inet_ntoa(address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)
