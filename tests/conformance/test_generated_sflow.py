"""`flowfast generate --format sflow`, element by element: what tshark reads, and what flowfast does (FF-SF-01, FF-SF-05)."""

import csv
import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowfast import _core

PORT = 2055
SAMPLES = 2000
# tshark's field, flowfast's column of `wire`, and which samples have it: all, those of a family, those of a protocol
FIELDS = {
    "sflow.flow_sample.sequence_number": ("sample_sequence", None),
    "sflow.flow_sample.sampling_rate": ("samplingInterval", None),
    "sflow.flow_sample.sample_pool": ("sample_pool", None),
    "sflow.flow_sample.dropped_packets": ("sample_drops", None),
    "sflow.flow_sample.input_interface": ("ingressInterface", None),
    "sflow.flow_sample.output_interface": ("egressInterface", None),
    "sflow.flow_sample.index": ("ds_index", None),
    "sflow_245.header.frame_length": ("frame_length", None),
    "ip.src": ("sourceIPv4Address", ("family", 4)),
    "ip.dst": ("destinationIPv4Address", ("family", 4)),
    "ip.ttl": ("ipTTL", ("family", 4)),
    "ip.proto": ("protocolIdentifier", ("family", 4)),
    "ip.dsfield": ("ipClassOfService", ("family", 4)),
    "ip.id": ("fragmentIdentification", ("family", 4)),
    "ipv6.src": ("sourceIPv6Address", ("family", 6)),
    "ipv6.dst": ("destinationIPv6Address", ("family", 6)),
    "ipv6.hlim": ("ipTTL", ("family", 6)),
    "ipv6.nxt": ("protocolIdentifier", ("family", 6)),
    "tcp.srcport": ("sourceTransportPort", ("protocolIdentifier", 6)),
    "tcp.dstport": ("destinationTransportPort", ("protocolIdentifier", 6)),
    "tcp.flags": ("tcpControlBits", ("protocolIdentifier", 6)),
    "udp.srcport": ("sourceTransportPort", ("protocolIdentifier", 17)),
    "udp.dstport": ("destinationTransportPort", ("protocolIdentifier", 17)),
}
# Of the datagram that carries the samples.
CARRIER = ("ip.", "udp.")


def by_tshark(path: Path) -> list[dict[str, list[str]]]:
    """The values of each field in each datagram, in order; without those of the headers that carry it."""
    fields = [arg for field in FIELDS for arg in ("-e", field)]
    decode = ["-d", f"udp.port=={PORT},sflow", "-o", "ip.check_checksum:TRUE"]
    command = ["tshark", "-r", str(path), *decode, "-T", "fields", "-E", "occurrence=a", "-E", "header=y", *fields]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = csv.DictReader(lines, delimiter="\t")
    return [{name: value.split(",")[name.startswith(CARRIER) :] if value else [] for name, value in row.items()} for row in rows]


def payloads(pcap: bytes) -> Iterator[bytes]:
    """Of packets that begin with an IPv4 header of 20 octets and a UDP header (LINKTYPE_RAW)."""
    offset = 24
    while offset < len(pcap):
        (length,) = struct.unpack_from("<I", pcap, offset + 8)
        yield pcap[offset + 16 + 28 : offset + 16 + length]
        offset += 16 + length


def by_flowfast(path: Path) -> list[list[dict[str, Any]]]:
    """The samples of each datagram, in order."""
    decoder = _core.Decoder(schema="wire")
    for payload in payloads(path.read_bytes()):
        decoder.decode(payload, "127.0.0.1", 6343, local_port=6343, time_received_ns=10**18)
    found = [json.loads(line) for batch in decoder.flush() for line in batch.to_ndjson().decode().splitlines()]
    for sample in found:
        sample["family"] = 4 if "sourceIPv4Address" in sample else 6
    by_datagram: dict[int, list[dict[str, Any]]] = {}
    for sample in sorted(found, key=lambda sample: sample["sample_sequence"]):
        by_datagram.setdefault(sample["_sequence"], []).append(sample)
    return list(by_datagram.values())


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_every_element(tmp_path: Path) -> None:
    path = tmp_path / "sflow.pcap"
    sent = _core.generate(
        to=None, write=str(path), format="sflow", count=SAMPLES, rate=0.0, order="canonical", seed=3, exporters=1, template="default"
    )
    theirs, ours = by_tshark(path), by_flowfast(path)
    assert len(theirs) == len(ours) == sent["datagrams"]
    assert sum(len(samples) for samples in ours) == sent["flows"] == SAMPLES
    compared = 0
    for fields, samples in zip(theirs, ours, strict=True):
        for name, values in fields.items():
            column, only = FIELDS[name]
            having = [sample for sample in samples if only is None or sample[only[0]] == only[1]]
            expected = [value if "." in value or ":" in value else int(value, 0) for value in values]
            assert expected == [sample[column] for sample in having], name
            compared += len(values)
    assert compared > 10 * SAMPLES
