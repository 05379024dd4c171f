"""flowfast against the captures of real exporters: every record, every field, and the counters beside them.

What is expected comes from the structural parser, which `test_oracles.py` holds against tshark, nfdump and flow-tools.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from decoding import Decoded, Row, counted, decode, plain, plain_address, without_message
from disagreements import TABLE

from captures import own, shared, shared_rows
from flowfast import _core
from oracle import flows, tshark, values
from oracle.capture import SHARED_CAPTURES, Datagram, datagrams
from oracle.structure import Message, Record, Walker

FORMATS = {"v1", "v5", "v6", "v7", "v8", "v9", "ipfix"}
CAPTURES = [*shared(FORMATS), *own()]
SFLOW5 = b"\0\0\0\5"
# Columns of `wire` that are computed: times that are sent relative to the exporter's start
DERIVED = {"flowStartMilliseconds": (22, "time_flow_start"), "flowEndMilliseconds": (21, "time_flow_end")}
SAMPLED = {
    "pmacct-v5-sampled": ("header", 8),
    "pmacct-v9-sampled": ("options", 8),
    "pmacct-ipfix-sampled": ("options", 8),
    "softflowd-v9-sampled": ("options", 8),
}
# data that came before its template, which tshark cannot know
OUT_OF_ORDER = {"graylog-plugin__nprobe-netflow9-4.pcap", "python-netflow__v9_mixed.pcap"}
every_capture = pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)


def export(path: Path) -> list[Datagram]:
    """The capture's datagrams, without sFlow."""
    return [datagram for datagram in datagrams(path) if not datagram.payload.startswith(SFLOW5)]


@cache
def walked(path: Path, lenient: bool = False) -> list[Message]:
    return list(Walker(lenient).walk(export(path)))


@cache
def decoded_flows(path: Path) -> Decoded:
    return decode(export(path), "flows")


def in_order(messages: list[Message]) -> list[Record]:
    """All records that a collector delivers; those that waited for their template are last here."""
    return [r for m in messages for r in m.records] + [r for m in messages for r in m.recovered]


@every_capture
def test_wire(path: Path) -> None:
    """Every field of every record, under its registry name, with its value; options data included."""
    messages = walked(path)
    decoded = decode(export(path), "wire")
    expected = in_order(messages)
    assert_same_rows(decoded.rows, [wire_row(r) for r in expected if not r.template.is_options])
    assert_same_rows(decoded.options, [wire_row(r) for r in expected if r.template.is_options])
    assert_counters(decoded, messages)


def wire_row(record: Record) -> Row:
    """Values of all fields, absolute times beside relative ones, and the message they came in."""
    row = {name: value for name, value in values.wire(record).items() if value is not None}
    message = record.message
    if message.version <= values.NETFLOW9 or has_own_boot(record):
        times = flows.row(values.elements(record), message)
        for name, (relative, column) in DERIVED.items():
            if name not in row and relative in values.elements(record):
                row[name] = times[column] * 1000
    row |= {
        "_type": message_format(message),
        "_exporter": message.datagram.source,
        "_time": message.time_ms * 10**6,
        "_received": message.datagram.time_ns // 1000 * 1000,
    }
    if message.version > 8:
        row |= {"_template": record.template_id, "_domain": message.domain}
    return row


def has_own_boot(record: Record) -> bool:
    return isinstance(values.elements(record).get(160), int)


def assert_same_rows(rows: list[Row], expected: list[Row]) -> None:
    """Tables come one after the other, so rows are compared in order within each template of each exporter, and all in all."""
    assert len(rows) == len(expected)
    ours, theirs = by_table(rows), by_table(expected)
    assert ours.keys() == theirs.keys()
    for table, expected_rows in theirs.items():
        found, wanted = sorted(map(repr_row, ours[table])), sorted(map(repr_row, expected_rows))
        assert len(found) == len(wanted), table
        different = [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]]
        assert different[:1] == [], table


def by_table(rows: list[Row]) -> dict[tuple, list[Row]]:
    tables: dict[tuple, list[Row]] = {}
    for row in rows:
        key = (row.get("_template"), row.get("_domain") if row.get("_template") else None, plain_address(row["_exporter"]))
        tables.setdefault(key, []).append(row)
    return tables


def repr_row(row: Row) -> str:
    kept = {name: row[name] for name in ("_time", "_received")} | without_message(row)
    if "_template" in row and "systemInitTimeMilliseconds" not in row and row["_type"] == "ipfix":
        # absolute times out of what an options record said (FF-EN-07) are for `flows`; here they may be shown or not
        relative = {"flowStartMilliseconds": "flowStartSysUpTime", "flowEndMilliseconds": "flowEndSysUpTime"}
        kept = {name: value for name, value in kept.items() if relative.get(name) not in row}
    return repr(sorted(kept.items()))


def assert_counters(decoded: Decoded, messages: list[Message]) -> None:
    """Architecture section 7: every datagram and every record once, and as many of each fault as the parser found."""
    stats = decoded.stats
    faults = Counter(message.fault for message in messages if message.fault)
    records = in_order(messages)
    options = sum(record.template.is_options for record in records)
    assert counted(stats) == faults
    assert stats["datagrams_received"] == len(messages) == stats["datagrams_decoded"] + sum(faults.values())
    assert stats["records_received"] == len(records)
    assert stats["options_records_decoded"] == options
    assert stats["sets_recovered"] == sum(m.recovered_sets for m in messages)
    undecoded = [body for m in messages for _, body in m.waiting + m.expired]
    outdated = [body for m in messages for _, body in m.outdated]
    expired = (stats["sets_discarded"]["expired_template"], stats["set_octets_discarded"]["expired_template"])
    assert expired == (len(outdated), sum(map(len, outdated)))
    sets = stats["sets_waiting"] + stats["sets_discarded"]["no_template"]
    octets = stats["set_octets_waiting"] + stats["set_octets_discarded"]["no_template"]
    assert (sets, octets) == (len(undecoded), sum(map(len, undecoded)))
    intact = [m for m in messages if not m.fault]
    assert stats["templates_received"] == sum(m.templates for m in intact)
    assert stats["options_templates_received"] == sum(m.options_templates for m in intact)
    assert stats["warnings"]["withdrawal_ignored"] == sum(m.withdrawals for m in intact)
    assert stats["warnings"]["unknown_set"] == sum(m.unknown_sets for m in intact)


PACKET_SECTIONS = {104, 313, 315, 316}


def carries_packets(messages: list[Message]) -> bool:
    """Whether records hold the start of a packet (PSAMP)."""
    fields = (field.element for record in in_order(messages) for field in record.template.fields)
    return any(element.id in PACKET_SECTIONS and not element.pen for element in fields)


@every_capture
def test_flows(path: Path) -> None:
    """Addresses, ports, octets, packets, times, AS numbers, interfaces, prefix lengths, next hops."""
    messages = walked(path)
    decoded = decoded_flows(path)
    rows, expected = decoded.rows, flows.expected(messages)
    if carries_packets(messages):
        # packets fill what their records leave (FF-PS-01), which is compared where the packets are made: here, what records say
        said = {column for row in expected for column, value in row.items() if value is not None}
        rows, expected = ([{c: v for c, v in row.items() if c in said} for row in each] for each in (rows, expected))
    assert_same_flows(rows, expected)
    flow_records = sum(not record.template.is_options for record in in_order(messages))
    assert (decoded.stats["records_decoded"], decoded.options) == (flow_records, [])


def assert_same_flows(rows: list[Row], expected: list[Row]) -> None:
    """As multisets; what differs is shown three rows at a time."""
    ours, theirs = Counter(map(common, rows)), Counter(map(common, expected))
    surplus, missing = list((ours - theirs).elements()), list((theirs - ours).elements())
    assert (len(rows), len(surplus), surplus[:3]) == (len(expected), len(missing), missing[:3]), flows.COLUMNS


def common(row: Row) -> tuple:
    """The compared columns; a null and a column that is not there are the same."""
    shown = (row.get(column) for column in flows.COLUMNS)
    return tuple(tuple(value) if isinstance(value, list) else plain_address(value) for value in shown)


def malformed() -> list[Path]:
    return [path for path in CAPTURES if any(message.fault for message in walked(path))]


@pytest.mark.parametrize("path", malformed(), ids=lambda path: path.name)
def test_lenient(path: Path) -> None:
    """FF-IX-03: lenient decoding keeps the sets before a fault, strict decoding nothing."""
    messages = walked(path, lenient=True)
    decoded = decode(export(path), "flows", lenient=True)
    assert_same_flows(decoded.rows, flows.expected(messages))
    cut = sum(message.fault == "malformed_tail" for message in messages)
    assert decoded.stats["warnings"]["malformed_tail"] == cut


def expiring() -> list[Path]:
    return [path for path in CAPTURES if any(message.expired or message.outdated for message in walked(path))]


@pytest.mark.parametrize("path", expiring(), ids=lambda path: path.name)
def test_at_one_moment(path: Path) -> None:
    """Captures whose times let templates or waiting data expire: the same datagrams all at once, and everything is decoded."""
    stream = [replace(datagram, time_ns=0) for datagram in export(path)]
    messages = list(Walker().walk(stream))
    assert not any(m.expired or m.outdated for m in messages)
    decoded = decode(stream, "wire")
    assert_same_rows(decoded.rows, [wire_row(r) for r in in_order(messages) if not r.template.is_options])
    assert_counters(decoded, messages)


@every_capture
def test_flushing_often_changes_nothing(path: Path) -> None:
    whole, often = decoded_flows(path), decode(export(path), "flows", flush_every=3)
    assert_same_flows(often.rows, whole.rows)
    assert whole.stats == often.stats


@pytest.mark.parametrize("path", [path for path in CAPTURES if path.suffix == ".pcap"], ids=lambda path: path.name)
def test_replay(path: Path) -> None:
    """`Replay` reads the file itself, with two workers: the same rows as of the datagrams that the parser of the tests found."""
    replay = _core.Replay([str(path)], workers=2)
    replay.start()
    events = []
    while not replay.finished:
        if (event := replay.next_event(5)) is not None:
            events.append(event)
    assert replay.file_errors() == []
    rows = [row for event in events if isinstance(event, _core.Batch) for row in plain(event)]
    assert_same_flows(rows, decoded_flows(path).rows)
    assert replay.stats()["datagrams_received"] == len(export(path))


@pytest.mark.parametrize("path", [SHARED_CAPTURES / row["file"] for row in shared_rows().values()], ids=lambda path: path.name)
def test_no_capture_does_harm(path: Path) -> None:
    """All formats, sFlow too: every datagram is counted once, whatever it is."""
    for schema in ("flows", "wire"):
        decoded = decode(datagrams(path), schema)
        received = sum(1 for _ in datagrams(path))
        discarded = sum(decoded.stats["datagrams_discarded"].values())
        assert decoded.stats["datagrams_received"] == received == decoded.stats["datagrams_decoded"] + discarded


@every_capture
def test_message_columns(path: Path) -> None:
    """`flows` says where a row is from: format, exporter, receive time, domain, sequence number, template."""
    records = [record for record in in_order(walked(path)) if not record.template.is_options]
    rows = decoded_flows(path).rows
    columns = ("type", "sampler_address", "time_received", "observation_domain_id", "sequence_num", "template_id")
    assert Counter(tuple(plain_address(row.get(column)) for column in columns) for row in rows) == Counter(map(origin, records))


def origin(record: Record) -> tuple:
    message = record.message
    numbered = message.version > 1  # v1 has neither sequence nor engine
    place = (message_format(message), message.datagram.source, message.datagram.time_ns // 1000)
    domain, sequence = (message.domain, message.sequence) if numbered else (None, None)
    return (*place, domain, sequence, record.template_id if message.version > 8 else None)


def message_format(message: Message) -> str:
    return "ipfix" if message.version == 10 else f"netflow_v{message.version}"


@pytest.mark.parametrize("path", own(), ids=lambda path: path.name)
def test_sums(path: Path) -> None:
    """The sums of octets and packets that tshark found."""
    with (path.parent / "expected.csv").open() as file:
        expected = next(row for row in csv.DictReader(file) if row["capture"] == path.name)
    rows = decoded_flows(path).rows
    sums = {"data_records": len(rows), "octets": total(rows, "bytes"), "packets": total(rows, "packets")}
    assert sums == {name: int(expected[name]) for name in sums}


# Exporters whose sequence numbers do not count what RFC 7011 section 3.1 says, though nothing of theirs was lost
@pytest.mark.parametrize("path", own(), ids=lambda path: path.name)
def test_no_false_loss(path: Path) -> None:
    """The project's captures were taken where the exporters sent, and tcpdump dropped nothing: no packet and no record is missing."""
    stats = decoded_flows(path).stats
    assert (stats["sequence_lost_records"], stats["sequence_lost_packets"], stats["warnings"]["out_of_order"]) == (0, 0, 0)


def total(rows: Iterable[Row], column: str) -> int:
    return sum(row.get(column, 0) for row in rows)


@pytest.mark.parametrize(("name", "expected"), SAMPLED.items())
def test_sampling(name: str, expected: tuple[str, int]) -> None:
    """The exporters were told to take 1 packet in 8; the header or the options record says so (FF-SMP-02)."""
    path = next(path for path in own() if path.stem == name)
    rows = decoded_flows(path).rows
    assert Counter((row["sampling_source"], row["sampling_rate"]) for row in rows).most_common(1)[0][0] == expected


def seen_whole_by_tshark() -> list[Path]:
    """Captures whose every record tshark has (see `oracle/disagreements.csv`).

    But for the one with packets in its records: they fill what tshark shows as octets.
    """
    partial = {capture for (capture, oracle), rows in TABLE.items() if oracle == "tshark" and any(r["column"] == "records" for r in rows)}
    paths = [path for path in shared(FORMATS) if tshark_made(path).exists() and path.name not in partial | OUT_OF_ORDER]
    return [path for path in paths if path.stem != "local__softflowd_psamp"]


def tshark_made(path: Path) -> Path:
    return SHARED_CAPTURES / "golden" / "_oracle" / f"{path.name}.tshark.json.gz"


@pytest.mark.parametrize("path", seen_whole_by_tshark(), ids=lambda path: path.name)
def test_against_tshark_directly(path: Path) -> None:
    """Without the parser between: the columns that need no header, where tshark has every record."""
    packets = tshark.load(tshark_made(path))
    options = tshark.options_ids(packets)
    records = [record for frame in tshark.records(packets).values() for record in frame if record["template"] not in options]
    rows = decoded_flows(path).rows
    columns = ("src_addr", "dst_addr", "src_port", "dst_port", "proto", "bytes", "packets")
    message = Message(export(path)[0])
    theirs = Counter(tuple(flows.row(numbers(record), message)[column] for column in columns) for record in records)
    assert Counter(tuple(plain_address(row.get(column)) for column in columns) for row in rows) == theirs


def numbers(record: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in record.items() if isinstance(key, int) and key not in (21, 22)}
