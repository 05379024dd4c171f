"""What an exporter written from the standards says is what is decoded: templates of any fields in any order, and flows in any format."""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from decoding import flows, plain_address, wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_types import NAMES, TYPES

from flowfast import _core
from oracle.exporter import (
    EXPORT_S,
    NTP_EPOCH_S,
    VARIABLE,
    Field,
    Flow,
    a_set,
    encode,
    flow_sample,
    ipfix,
    netflow5,
    netflow9,
    options_template,
    options_templates,
    sflow5,
    tagged,
    template,
    templates,
    variable,
)

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
PADDING, UNKNOWN_PEN = 210, 64000
# The last second that NTP's era 1 shares with 32 bits of UNIX time
LAST_S = 2**32 - 1
U16, U32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
IPV4 = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))


@dataclass(frozen=True)
class Column:
    """A field, its abstract data type, and its name in the table."""

    field: Field
    kind: str
    name: str


@st.composite
def columns(draw: st.DrawFn) -> list[Column]:
    """Fields of a template: every type, reduced sizes, variable length, enterprise elements, padding, repetition."""
    drawn = []
    for element in draw(st.lists(st.sampled_from([*TYPES, PADDING, UNKNOWN_PEN]), min_size=1, max_size=14)):
        if element == PADDING:
            drawn.append(Column(Field(PADDING, draw(st.integers(1, 5))), "octetArray", ""))
            continue
        if element == UNKNOWN_PEN:
            number = draw(st.integers(1, 3))
            field = Field(number, draw(st.sampled_from([1, 3, 8, VARIABLE])), UNKNOWN_PEN)
            drawn.append(Column(field, "octetArray", f"e{UNKNOWN_PEN}_i{number}"))
            continue
        kind, length, *_ = TYPES[element]
        if "signed" in kind:
            length = draw(st.integers(1, length))
        elif kind in ("string", "octetArray"):
            length = draw(st.integers(1, 40))
        if draw(st.integers(0, 3)) == 0:
            length = VARIABLE
        drawn.append(Column(Field(element, length), kind, NAMES[element]))
    # A record of nothing but padding is none.
    return drawn if any(column.name for column in drawn) else [*drawn, Column(Field(4, 1), "unsigned8", NAMES[4])]


def value(column: Column) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line a type
    """A value that the field can carry."""
    length, full = column.field.length, TYPES.get(column.field.id, ("", 0))[1]
    match column.kind:
        case "boolean":
            return st.booleans()
        case "float64":
            return st.floats(allow_nan=False)
        case "string":
            text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
            return text.filter(lambda text: len(text.encode()) <= length)
        case "octetArray":
            return st.binary(min_size=length, max_size=length) if length != VARIABLE else st.binary(max_size=300)
        case "ipv4Address":
            return IPV4
        case "ipv6Address":
            return st.integers(0, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number)))
        case "macAddress":
            return st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))
        case "dateTimeSeconds":
            return U32.map(lambda time_s: time_s * 10**9)
        case "dateTimeMilliseconds":
            return st.integers(0, LAST_S * 1000).map(lambda time_ms: time_ms * 10**6)
        case "dateTimeMicroseconds":
            return st.integers(0, (2**32 + 2**31 - NTP_EPOCH_S - 1) * 10**6).map(lambda time_us: time_us * 1000)
        case "dateTimeNanoseconds":
            return st.integers(0, (2**32 + 2**31 - NTP_EPOCH_S - 1) * 10**9)
        case _:
            bits = 8 * (full if length == VARIABLE else length)
            return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if column.kind.startswith("signed") else st.integers(0, 2**bits - 1)


def written(column: Column, what: Any) -> bytes:
    """The field's octets."""
    length = column.field.length
    if length != VARIABLE:
        return encode(column.kind, what, length)
    full = TYPES.get(column.field.id, ("", 0))[1]
    return variable(encode(column.kind, what, VARIABLE if column.kind == "string" else full))


def row(layout: list[Column], values: list[Any]) -> dict[str, Any]:
    """What the table must say: the occurrences of an element are numbered in the order of the template."""
    seen: dict[str, int] = {}
    shown = {}
    for column, what in zip(layout, values, strict=True):
        if column.name:
            seen[column.name] = seen.get(column.name, 0) + 1
            shown[column.name if seen[column.name] == 1 else f"{column.name}_{seen[column.name]}"] = what
    return shown


def message(layout: list[Column], records: list[list[Any]], version: int = 10) -> bytes:
    """A template and its records."""
    octets = [b"".join(map(written, layout, values)) for values in records]
    sets = templates(template(300, *(column.field for column in layout)), version=version), a_set(300, *octets)
    return ipfix(*sets) if version == 10 else netflow9(*sets)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[list[Any]]]:
    layout = draw(columns())
    return layout, draw(st.lists(st.tuples(*map(value, layout)).map(list), min_size=1, max_size=4))


@SETTINGS
@given(tables())
def test_any_template(table: tuple[list[Column], list[list[Any]]]) -> None:
    """FF-IX-09, FF-IX-16, FF-IX-17, FF-DT-03, FF-DT-05: decode(write(x)) = x."""
    layout, records = table
    decoded = wire(message(layout, records))
    assert decoded.rows == [row(layout, values) for values in records]
    assert sum(decoded.stats["datagrams_discarded"].values()) == 0


@SETTINGS
@given(tables())
def test_any_options_template(table: tuple[list[Column], list[list[Any]]]) -> None:
    """FF-IX-18: whatever the scope is; it stands first."""
    layout, records = table
    fields = [Field(149, 4), *(column.field for column in layout)]
    octets = [b"\0\0\0\7" + b"".join(map(written, layout, values)) for values in records]
    decoded = wire(ipfix(options_templates(options_template(300, 1, *fields)), a_set(300, *octets)))
    assert decoded.options == [{"observationDomainId": 7} | row(layout, values) for values in records]


@SETTINGS
@given(tables())
def test_the_same_in_v9(table: tuple[list[Column], list[list[Any]]]) -> None:
    """FF-V9-02: v9 has neither enterprises nor variable length; all else is alike."""
    kept = [index for index, column in enumerate(table[0]) if not column.field.pen and column.field.length != VARIABLE]
    layout = [table[0][index] for index in kept] + [Column(Field(5, 1), "unsigned8", "ipClassOfService")]
    records = [[values[index] for index in kept] + [9] for values in table[1]]
    assert wire(message(layout, records, version=9)).rows == [row(layout, values) for values in records]


@SETTINGS
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(table: tuple[list[Column], list[list[Any]]], chance: Any) -> None:
    """FF-ORD-01, FF-ORD-02: one schema and one table, as long as repeated elements keep their order (FF-IX-16)."""
    layout, records = table
    order = list(range(len(layout)))
    chance.shuffle(order)
    places: dict[tuple[int, int], list[int]] = {}
    for index in sorted(order):
        places.setdefault((layout[index].field.id, layout[index].field.pen), []).append(index)
    order = [places[layout[index].field.id, layout[index].field.pen].pop(0) for index in order]
    permuted = message([layout[i] for i in order], [[values[i] for i in order] for values in records])
    found = [batch_of(octets) for octets in (message(layout, records), permuted)]
    assert found[0].schema.equals(found[1].schema, check_metadata=True)
    assert found[0].equals(found[1])


def batch_of(octets: bytes) -> pa.RecordBatch:
    decoder = _core.Decoder(schema="wire")
    decoder.decode(octets, "192.0.2.1", time_received_ns=EXPORT_S * 10**9)
    (batch,) = decoder.flush()
    return pa.record_batch(batch)


FLOWS = st.builds(
    Flow, source=IPV4, destination=IPV4, next_hop=IPV4, input=U16, output=U16, packets=U32, octets=U32, first=U32, last=U32,
    source_port=U16, destination_port=U16, flags=st.integers(0, 255), protocol=st.integers(0, 255).filter(lambda protocol: protocol != 1),
    tos=st.integers(0, 255), source_as=U16, destination_as=U16, source_mask=st.integers(0, 32), destination_mask=st.integers(0, 32),
)  # fmt: skip
V5_FIELDS = [Field(*each) for each in (
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2),
    (9, 1), (13, 1),
)]  # fmt: skip
WIDE = {1: 8, 2: 8, 10: 4, 14: 4, 16: 4, 17: 4}
# Columns that say how and when a row came, not what it says
OF_THE_MESSAGE = ("type", "sequence_num", "template_id", "observation_domain_id", "sampling_rate", "sampling_source", "time_received")


@SETTINGS
@given(st.lists(FLOWS, min_size=1, max_size=5), st.booleans())
def test_a_flow_is_the_same_in_any_format(sent: list[Flow], wide: bool) -> None:
    """FF-NF-11: in v5, v9 and IPFIX (whose exporter says when it started), counters and interfaces in their widths or wider ones."""
    fields = [
        Field(each.id, {1: 8, 2: 8, 10: 4, 14: 4, 16: 4, 17: 4}.get(each.id, each.length) if wide else each.length) for each in V5_FIELDS
    ]
    records = [b"".join(number(flow.values[field.id], field.length) for field in fields) for flow in sent]
    boot = Field(160, 8)
    of_v5 = rows(netflow5(*(flow.v5 for flow in sent)))
    of_v9 = rows(netflow9(templates(template(300, *fields), version=9), a_set(300, *records)))
    started = (EXPORT_S - 3600) * 1000
    told = [record + started.to_bytes(8) for record in records]
    of_ipfix = rows(ipfix(templates(template(300, *fields, boot)), a_set(300, *told)))
    assert of_v5 == of_v9
    # IPFIX has no uptime in its header by which a time before the last wrap could be told from one of today (FF-NF-07).
    times = ("time_flow_start", "time_flow_end")
    assert [without(row, times) for row in of_v5] == [without(row, times) for row in of_ipfix]
    for flow, found in zip(sent, of_v5, strict=True):
        assert (found["src_addr"], found["dst_addr"], found["next_hop"]) == (flow.source, flow.destination, flow.next_hop)
        assert (found["bytes"], found["packets"], found["in_if"]) == (flow.octets, flow.packets, flow.input)


def number(what: Any, length: int) -> bytes:
    return ipaddress.ip_address(what).packed if isinstance(what, str) else what.to_bytes(length)


def rows(packet: bytes) -> list[dict[str, Any]]:
    found = flows(packet).rows
    return [{name: plain_address(value) for name, value in row.items() if name not in OF_THE_MESSAGE} for row in found]


def without(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


SAMPLES = st.tuples(U32, U32, st.integers(0, 255), IPV4, IPV4, U16, U16, U16, U16, st.integers(0, 2**24 - 1))


@SETTINGS
@given(
    st.lists(st.tuples(U32, U32, st.integers(0, 255), IPV4, IPV4, U16, U16, U16, U16, st.integers(0, 2**24 - 1)), min_size=1, max_size=6)
)
def test_samples_of_sflow(sent: list[tuple[Any, ...]]) -> None:
    """FF-SF-01: flow samples with a packet's IPv4 fields (format 3) and its VLANs (format 1001), in any number."""
    samples = []
    for sequence, (rate, pool, protocol, source, destination, sport, dport, src_vlan, dst_vlan, index) in enumerate(sent):
        addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
        of_packet = tagged(3, struct.pack(">II", 1000 + sequence, protocol) + addresses + struct.pack(">IIII", sport, dport, 0x12, 8))
        switch = tagged(1001, struct.pack(">IIII", src_vlan, 1, dst_vlan, 2))
        samples.append(flow_sample(of_packet, switch, sequence=sequence, source=index, rate=rate, pool=pool))
    found = wire(sflow5(*samples)).rows
    names = ("samplingInterval", "sample_pool", "protocolIdentifier", "sourceIPv4Address", "destinationIPv4Address")
    ports = ("sourceTransportPort", "destinationTransportPort", "vlanId", "postVlanId", "ds_index")
    assert [tuple(row[name] for name in (*names, *ports)) for row in found] == sent
