"""NetFlow v1 to v8 (spec 2.1), beside their vectors: limits, clocks, sampling."""

import struct

import pytest
from decoding import counted, flows, plain_address

from oracle import layouts
from oracle.exporter import BOOT_MS, EXPORT_S, UPTIME_MS, Flow, netflow1, netflow5

WRAP_MS = 2**32


def fixed(version: int, records: int, *, method: int = 0, aggregation: int = 2, count: int | None = None) -> bytes:
    """A datagram of zeros but for its header; methods that do not exist have the layout of method 1."""
    layout = (version, method) if (version, method) in layouts.LAYOUTS else (8, 1)
    head, size = layouts.LAYOUTS[layout][0], sum(octets for _, octets in layouts.fields(*layout))
    header = struct.pack(">HHIII", version, records if count is None else count, UPTIME_MS, EXPORT_S, 0)
    header += struct.pack(">IBBBB", 0, 0, 0, method, aggregation if version == 8 else 0) + bytes(4)
    return header[:head] + bytes(size * records)


@pytest.mark.parametrize(("version", "method"), layouts.LAYOUTS)
def test_count_must_be_covered_by_the_length(version: int, method: int) -> None:
    """FF-NF-01, FF-NF-02, FF-NF-10: a whole datagram is discarded, or all of it is decoded."""
    assert len(flows(fixed(version, 3, method=method)).rows) == 3
    whole = fixed(version, 3, method=method)
    for wrong, reason in [
        (fixed(version, 3, method=method, count=0), "count_zero"),
        (fixed(version, 3, method=method, count=4), "count_exceeds_length"),
        (whole[:-1], "count_exceeds_length"),
        (whole[: layouts.LAYOUTS[version, method][0] - 1], "header_truncated"),
    ]:
        decoded = flows(wrong)
        assert (decoded.rows, counted(decoded.stats)) == ([], {reason: 1})
    more = flows(whole + b"tail")
    assert (len(more.rows), more.stats["warnings"]["trailing_octets"]) == (3, 1)


@pytest.mark.parametrize(
    ("version", "maximum"),
    [((1, 0), 24), ((5, 0), 30), ((6, 0), 27), ((7, 0), 27)]
    + [((8, method), most) for method, most in enumerate((51, 51, 44, 44, 35, 44, 35, 32, 44, 44, 44, 44, 35, 35), 1)],
)
def test_more_records_than_the_format_allows(version: tuple[int, int], maximum: int) -> None:
    """FF-NF-01: covered by the length, so accepted; the warning is for datagrams above the maximum of spec 2.1.2 only."""
    for records in (maximum, maximum + 1):
        decoded = flows(fixed(version[0], records, method=version[1]))
        assert (len(decoded.rows), decoded.stats["warnings"]["count_above_maximum"]) == (records, int(records > maximum))


def test_versions_and_methods_that_do_not_exist() -> None:
    """FF-NF-09, FF-NF-10."""
    for version in (0, 2, 3, 4, 11, 65535):
        decoded = flows(struct.pack(">H", version) + netflow5(Flow().v5)[2:])
        assert (decoded.rows, counted(decoded.stats)) == ([], {"unknown_version": 1})
    for method in range(256):
        for aggregation in (0, 1, 2, 3):
            decoded = flows(fixed(8, 2, method=method, aggregation=aggregation))
            known = 1 <= method <= 14 and aggregation in (0, 2)
            assert (len(decoded.rows), counted(decoded.stats)) == ((2, {}) if known else (0, {"unsupported": 1}))


@pytest.mark.parametrize(
    ("first", "last", "uptime", "start", "end"),
    [
        (10, 20, 30, 10, 20),
        # FF-NF-06: the clock wrapped between the first packet and the last.
        (WRAP_MS - 5, 10, 30, -5, 10),
        # FF-NF-07: and between the last packet and the export.
        (WRAP_MS - 500, WRAP_MS - 200, 30, -500, -200),
        # Within 100 s of the uptime it is the exporter's rounding.
        (10, 100_030, 30, 10, 100_030),
        # FF-Q-07: a first packet a little after the last is kept as it was sent.
        (25, 20, 30, 25, 20),
    ],
)
def test_times_on_the_clock_of_the_exporter(first: int, last: int, uptime: int, start: int, end: int) -> None:
    """FF-NF-06, FF-NF-07, FF-Q-07: milliseconds from when the exporter started, by the header."""
    (row,) = flows(netflow5(Flow(first=first, last=last).v5, uptime_ms=uptime)).rows
    boot_ms = EXPORT_S * 1000 - uptime
    assert (row["time_flow_start"], row["time_flow_end"]) == ((boot_ms + start) * 1000, (boot_ms + end) * 1000)


@pytest.mark.parametrize(("word", "rate", "source"), [(0, 1, "header"), (0x4000 | 100, 100, "header"), (0x8000 | 0x3FFF, 0x3FFF, "header")])
def test_sampling_of_the_header(word: int, rate: int, source: str) -> None:
    """FF-NF-08: fourteen bits of interval below two of mode; 0 is unsampled (spec 2.1.1)."""
    (row,) = flows(netflow5(Flow().v5, sampling=word)).rows
    assert (row["sampling_rate"], row["sampling_source"]) == (rate, source)


def test_v1_has_no_sequence() -> None:
    """FF-NF-04: nothing is lost, whatever comes."""
    decoded = flows(*[netflow1(bytes(48) * n) for n in (1, 1)])
    assert [row.get("sequence_num") for row in decoded.rows] == [None, None]
    assert decoded.stats.get("sequence_lost_records", 0) == decoded.stats.get("sequence_lost_packets", 0) == 0


def test_icmp_in_the_port() -> None:
    """Spec 2.1.4: destination port = type * 256 + code, of ICMP only."""
    icmp, tcp = flows(netflow5(Flow(protocol=1, destination_port=0x0301).v5, Flow(protocol=6, destination_port=0x0301).v5)).rows
    assert (icmp["icmp_type"], icmp["icmp_code"]) == (3, 1)
    assert "icmp_type" not in tcp


def test_fields_of_v5() -> None:
    """Spec 2.1.3: every field where it belongs."""
    flow = Flow()
    (row,) = flows(netflow5(flow.v5)).rows
    seen = {name: plain_address(row[name]) for name in ("src_addr", "dst_addr", "next_hop")}
    assert seen == {"src_addr": flow.source, "dst_addr": flow.destination, "next_hop": flow.next_hop}
    assert row["time_flow_start"] == (BOOT_MS + flow.first) * 1000
    numbers = {"in_if": 1, "out_if": 2, "packets": 10, "bytes": 1000, "src_port": 1025, "dst_port": 80, "tcp_flags": 0x1B, "proto": 6}
    assert {name: row[name] for name in numbers} == numbers
    assert (row["src_as"], row["dst_as"], row["src_net"], row["dst_net"]) == (64500, 64501, 24, 16)
