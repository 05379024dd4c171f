"""The same NetFlow v5 datagrams through flowfast and through what one would write in Python: `python -m pytest bench`.

Every decoder ends with the sum of octets over all flows, which must be what the generator says it sent.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from traffic import V5, payloads, write_pcap

import flowfast

FLOWS = 300_000
HEADER_OCTETS = 24
EXPORTER = "192.0.2.1"

# Cisco's NetFlow v5 flow record, field for field.
FIELDS = [
    ("src_addr", ">u4"), ("dst_addr", ">u4"), ("next_hop", ">u4"), ("in_if", ">u2"), ("out_if", ">u2"), ("packets", ">u4"),
    ("octets", ">u4"), ("first_ms", ">u4"), ("last_ms", ">u4"), ("src_port", ">u2"), ("dst_port", ">u2"), ("pad1", "u1"),
    ("tcp_flags", "u1"), ("proto", "u1"), ("tos", "u1"), ("src_as", ">u2"), ("dst_as", ">u2"), ("src_mask", "u1"),
    ("dst_mask", "u1"), ("pad2", ">u2"),
]  # fmt: skip
RECORD_DTYPE = np.dtype(FIELDS)
RECORD_STRUCT = struct.Struct("!3I2H4I2H4B2H2BH")
OCTETS = [name for name, _ in FIELDS].index("octets")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], int]:
    """Datagrams, and the sum of octets in them."""
    scratch: Path = tmp_path_factory.mktemp("datagrams")
    contents = write_pcap(V5, FLOWS, scratch)
    return list(payloads(scratch / V5.pcap)), contents["octets"]


def with_flowfast(datagrams: Sequence[bytes]) -> int:
    """Into the standard columns of the flows table, as Arrow."""
    decoder = flowfast.Decoder()
    for datagram in datagrams:
        decoder.decode(datagram, EXPORTER)
    return sum(pc.sum(pa.record_batch(batch)["bytes"]).as_py() for batch in decoder.flush())


def with_numpy(datagrams: Sequence[bytes]) -> int:
    """Into the 20 columns of a v5 record, in the byte order of the machine."""
    records = np.frombuffer(b"".join(datagram[HEADER_OCTETS:] for datagram in datagrams), RECORD_DTYPE)
    columns = {name: records[name].astype(records[name].dtype.newbyteorder("=")) for name, _ in FIELDS}
    return int(columns["octets"].sum(dtype=np.uint64))


def with_struct(datagrams: Sequence[bytes]) -> int:
    """Into a tuple a record."""
    records = [record for datagram in datagrams for record in RECORD_STRUCT.iter_unpack(memoryview(datagram)[HEADER_OCTETS:])]
    return sum(record[OCTETS] for record in records)


def with_netflow(datagrams: Sequence[bytes]) -> int:
    """Into objects of the package `netflow` (PyPI), if it is installed."""
    netflow = pytest.importorskip("netflow")
    exports = [netflow.parse_packet(datagram) for datagram in datagrams]
    return sum(flow.IN_OCTETS for export in exports for flow in export.flows)


@pytest.mark.parametrize("decode", [with_flowfast, with_numpy, with_struct, with_netflow], ids=lambda decode: decode.__name__[5:])
def test_decode_v5(benchmark: BenchmarkFixture, sent: tuple[list[bytes], int], decode) -> None:
    datagrams, octets = sent
    assert benchmark(decode, datagrams) == octets
    benchmark.extra_info["ns per flow"] = round(benchmark.stats.stats.median * 1e9 / FLOWS)
