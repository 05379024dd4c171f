"""The same million records through flowfast and through what one would write in Python: `python -m pytest bench`.

Every decoder ends with the sum of octets over all flows, which must be what the generator says it sent.
"""

import struct
from collections.abc import Callable, Sequence
from functools import cache, partial
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datagrams import Fields, data_sets, generate
from pytest_benchmark.fixture import BenchmarkFixture

import flowfast

FLOWS = 1_000_000
NETFLOW_FLOWS = FLOWS // 10
"""The package netflow takes minutes for more."""
TEMPLATES = {"v5": "v5", "v9": "v9-19"}
EXPORTER = "192.0.2.1"
V5_HEADER_OCTETS = 24
# Cisco's NetFlow v5 flow record, field for field: lengths, and where dOctets is.
V5_LENGTHS = (4, 4, 4, 2, 2, 4, 4, 4, 4, 2, 2, 1, 1, 1, 1, 2, 2, 1, 1, 2)
V5_FIELDS: Fields = tuple((1 if index == 6 else 0, length) for index, length in enumerate(V5_LENGTHS))
OCTETS = 1
"""The type of IN_BYTES (RFC 3954)."""

Sets = list[tuple[Fields, bytes]]
Sum = Callable[[Sequence[bytes]], int]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], tuple[list[bytes], int]]:
    """Gives the datagrams of a format with so many flows, and the sum of octets in them."""
    return cache(lambda format, flows: generate(format, TEMPLATES[format], flows, tmp_path_factory.mktemp("datagrams")))


def records_by_template(datagrams: Sequence[bytes]) -> Sets:
    """All records of each template, one behind the other: Python's share of the work, a step a data set."""
    if datagrams[0][1] == 5:
        return [(V5_FIELDS, b"".join(datagram[V5_HEADER_OCTETS:] for datagram in datagrams))]
    by_fields: dict[Fields, list[memoryview]] = {}
    for fields, records in data_sets(datagrams):
        by_fields.setdefault(fields, []).append(records)
    return [(fields, b"".join(records)) for fields, records in by_fields.items()]


def with_flowfast(datagrams: Sequence[bytes]) -> int:
    """Into the standard columns of the flows table, as Arrow."""
    decoder = flowfast.Decoder()
    for datagram in datagrams:
        decoder.decode(datagram, EXPORTER)
    return sum(pc.sum(pa.record_batch(batch)["bytes"]).as_py() for batch in decoder.flush())


def with_numpy(datagrams: Sequence[bytes]) -> int:
    """Into a column a field, in the byte order of the machine."""
    octets = 0
    for fields, records in records_by_template(datagrams):
        rows = np.frombuffer(records, numpy_dtype(fields))
        columns = {name: rows[name].astype(rows[name].dtype.newbyteorder("=")) for name in rows.dtype.names}
        octets += int(columns[octets_column(fields)].sum(dtype=np.uint64))
    return octets


def with_struct(datagrams: Sequence[bytes]) -> int:
    """Into a tuple a record."""
    octets = 0
    for fields, records in records_by_template(datagrams):
        rows = list(struct.Struct("!" + "".join(STRUCT_CODES[length] for _, length in fields)).iter_unpack(records))
        index = [kind for kind, _ in fields].index(OCTETS)
        octets += sum(row[index] for row in rows)
    return octets


def with_netflow(datagrams: Sequence[bytes]) -> int:
    """Into objects of the package `netflow` (PyPI)."""
    netflow = pytest.importorskip("netflow", reason="`pip install --group bench` brings netflow")
    templates: dict = {"netflow": {}, "ipfix": {}}
    octets = 0
    for datagram in datagrams:
        export = netflow.parse_packet(datagram, templates)
        octets += sum(flow.IN_OCTETS if export.header.version == 5 else flow.data["IN_BYTES"] for flow in export.flows)
    return octets


def with_cython(module: ModuleType, datagrams: Sequence[bytes]) -> int:
    """Into a column of 64 bits a field, two for an IPv6 address."""
    octets = 0
    for fields, records in records_by_template(datagrams):
        halves = [(kind, min(length, 8)) for kind, length in fields for _ in range(max(length // 8, 1))]
        lengths = np.array([length for _, length in halves], np.uint8)
        columns = np.empty((len(halves), len(records) // int(lengths.sum())), np.uint64)
        module.decode(records, lengths, columns, 0)
        octets += int(columns[[kind for kind, _ in halves].index(OCTETS)].sum())
    return octets


STRUCT_CODES = {1: "B", 2: "H", 4: "I", 8: "Q", 16: "16s"}
NUMPY_CODES = {1: "u1", 2: ">u2", 4: ">u4", 8: ">u8", 16: "V16"}


def numpy_dtype(fields: Fields) -> np.dtype:
    return np.dtype([(f"f{index}", NUMPY_CODES[length]) for index, (_, length) in enumerate(fields)])


def octets_column(fields: Fields) -> str:
    return f"f{[kind for kind, _ in fields].index(OCTETS)}"


@pytest.mark.parametrize("format", TEMPLATES)
@pytest.mark.parametrize("name", ["flowfast", "numpy", "cython", "struct", "netflow"])
def test_decode(benchmark: BenchmarkFixture, generated: Callable, request: pytest.FixtureRequest, name: str, format: str) -> None:
    flows = NETFLOW_FLOWS if name == "netflow" else FLOWS
    datagrams, octets = generated(format, flows)
    decoders: dict[str, Sum] = {"flowfast": with_flowfast, "numpy": with_numpy, "struct": with_struct, "netflow": with_netflow}
    decode = partial(with_cython, request.getfixturevalue("cython_decoder")) if name == "cython" else decoders[name]
    benchmark.group = f"{format}, {flows:,} flows"
    assert benchmark.pedantic(decode, args=(datagrams,), rounds=3) == octets
    benchmark.extra_info["ns_per_flow"] = round(benchmark.stats.stats.median * 1e9 / flows)
