"""NetFlow v9 (spec 2.2, RFC 3954) and what its exporters do otherwise (spec 2.17)."""

import struct

import pytest
from decoding import flows, plain_address, wire

from oracle.exporter import (
    BOOT_MS,
    EXPORT_S,
    UPTIME_MS,
    VARIABLE,
    Field,
    a_set,
    netflow9,
    options_template9,
    options_templates,
    template,
    templates,
    variable,
)

OCTETS = Field(1, 8)
ADDRESSES = (Field(8, 4), Field(12, 4))


def number(value: int) -> bytes:
    return value.to_bytes(8)


def octets_of(*payloads: bytes) -> list[int]:
    return [row["octetDeltaCount"] for row in wire(*payloads).rows]


def define(*records: bytes, padding: bytes = b"") -> bytes:
    return templates(*records, version=9, padding=padding)


def test_flowsets_follow_each_other_by_length() -> None:
    """FF-V9-02, FF-V9-08, FF-V9-05: several templates in a FlowSet, several FlowSets of templates, data between and in later packets."""
    one = template(256, OCTETS)
    two, three = template(257, Field(4, 1), OCTETS), template(258, OCTETS, Field(5, 1))
    first = netflow9(
        define(one, two), a_set(256, number(1)), define(three), a_set(257, b"\6" + number(2)), a_set(258, number(3) + b"\0"), sequence=0
    )
    assert sorted(octets_of(first, netflow9(a_set(257, b"\6" + number(4)), sequence=1))) == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 500])
def test_count_is_not_believed(count: int) -> None:
    """FF-V9-03, FF-Q-02: three records in two FlowSets and a template; a `count` of something else is a warning."""
    packet = netflow9(define(template(256, OCTETS)), a_set(256, number(1), number(2)), a_set(256, number(3)), count=count)
    assert octets_of(packet) == [1, 2, 3]


def test_a_wrong_count_is_counted() -> None:
    """FF-V9-03: records of all kinds are four here."""
    sets = (define(template(256, OCTETS)), a_set(256, number(1), number(2)), a_set(256, number(3)))
    mismatches = [wire(netflow9(*sets, count=count)).stats["warnings"]["count_mismatch"] for count in (4, 5)]
    assert mismatches == [0, 1]


@pytest.mark.parametrize("octets", range(8))
def test_padding_of_data(octets: int) -> None:
    """FF-V9-09: fewer octets than a record has, of any value."""
    for fill in (0, 255):
        packet = netflow9(define(template(256, OCTETS)), a_set(256, number(1), number(2), padding=bytes([fill]) * octets))
        assert octets_of(packet) == [1, 2]


@pytest.mark.parametrize("octets", [0, 1, 2, 3, 4, 8, 12])
def test_padding_of_templates(octets: int) -> None:
    """FF-V9-09, FF-Q-03: fewer than four octets, or a template id of zero, end the FlowSet; it is not one more template."""
    options = options_template9(257, 1, Field(1, 4), Field(41, 4))
    packet = netflow9(
        define(template(256, OCTETS), padding=bytes(octets)),
        options_templates(options, version=9, padding=bytes(octets)),
        a_set(256, number(7)),
        a_set(257, bytes([192, 0, 2, 1]) + (99).to_bytes(4)),
    )
    decoded = wire(packet)
    assert decoded.rows == [{"octetDeltaCount": 7}]
    assert decoded.options == [{"scope_system": "192.0.2.1", "exportedMessageTotalCount": 99}]
    assert (decoded.stats["templates_received"], decoded.stats["options_templates_received"]) == (1, 1)
    assert decoded.stats["warnings"]["template_refused"] == 0


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 7, 8])
def test_numbers_of_any_width(length: int) -> None:
    """FF-V9-14, FF-Q-14: unsigned, in the template's length, be it shorter or longer than the registry's."""
    value = int.from_bytes(b"\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8"[:length])
    fields = [Field(number, length) for number in (1, 48, 7)]  # octets, sampler, port: of 8, 1 and 2 octets by the registry
    (row,) = wire(netflow9(define(template(256, *fields)), a_set(256, 3 * value.to_bytes(length)))).rows
    assert row == {"octetDeltaCount": value, "samplerId": value, "sourceTransportPort": value}


@pytest.mark.parametrize("length", [9, 16, 300])
def test_longer_numbers_are_octets(length: int) -> None:
    """FF-V9-14: nothing is lost of them."""
    record = bytes(range(1, 10)) + bytes(length - 9)
    (row,) = wire(netflow9(define(template(256, Field(1, length), Field(4, 1))), a_set(256, record + b"\6"))).rows
    assert row == {"octetDeltaCount": record, "protocolIdentifier": 6}


def test_times_by_the_header() -> None:
    """FF-V9-15, FF-NF-06: unix_secs * 1000 - sysUpTime + value; a first packet beyond the last is from before the wrap."""
    fields = (Field(22, 4), Field(21, 4))
    records = [(UPTIME_MS - 5000, UPTIME_MS - 1000), (2**32 - 1000, 500)]
    packet = netflow9(define(template(256, *fields)), a_set(256, *(struct.pack(">II", *record) for record in records)))
    shown = [(row["time_flow_start"] / 1000 - BOOT_MS, row["time_flow_end"] / 1000 - BOOT_MS) for row in flows(packet).rows]
    assert shown == [(UPTIME_MS - 5000, UPTIME_MS - 1000), (-1000, 500)]
    raw = [(row["flowStartSysUpTime"], row["flowEndSysUpTime"]) for row in wire(packet).rows]
    assert [(start // 10**6, end // 10**6) if start > 2**32 else (start, end) for start, end in raw] == records


@pytest.mark.parametrize(
    ("fields", "record", "etype", "source"),
    [
        # Without IP_PROTOCOL_VERSION: 4, unless there are IPv6 addresses.
        (ADDRESSES, bytes([10, 0, 0, 1, 10, 0, 0, 2]), 0x0800, "10.0.0.1"),
        ((Field(27, 16), Field(28, 16)), bytes(15) + b"\1" + bytes(15) + b"\2", 0x86DD, "::1"),
        # With it, it decides.
        ((*ADDRESSES, Field(27, 16), Field(60, 1)), bytes([10, 0, 0, 1, 10, 0, 0, 2]) + bytes(16) + b"\4", 0x0800, "10.0.0.1"),
        ((*ADDRESSES, Field(27, 16), Field(60, 1)), bytes(8) + bytes(15) + b"\1\6", 0x86DD, "::1"),
    ],
)
def test_ip_version(fields: tuple[Field, ...], record: bytes, etype: int, source: str) -> None:
    """FF-V9-16."""
    (row,) = flows(netflow9(define(template(256, *fields)), a_set(256, record))).rows
    assert (row["etype"], plain_address(row["src_addr"])) == (etype, source)


def test_types_are_plain_numbers() -> None:
    """FF-V9-17: there is no enterprise bit: 33002 is Cisco's FW_EXT_EVENT, and 40005 its firewall event."""
    fields = (Field(33002, 2), Field(40005, 1), Field(1, 4))
    (row,) = wire(netflow9(define(template(256, *fields)), a_set(256, struct.pack(">HBI", 1001, 2, 77)))).rows
    assert row == {"firewallExtendedEvent": 1001, "firewallEvent": 2, "octetDeltaCount": 77}


@pytest.mark.parametrize("length", [20, 65])
@pytest.mark.parametrize("event", [1, 2, 3])
def test_security_events_of_asa(length: int, event: int) -> None:
    """FF-V9-18, FF-Q-08, FF-NAT-02: lists of three words, user names of two sizes, and no counters where none were sent."""
    fields = [*ADDRESSES, Field(7, 2), Field(233, 1), Field(33002, 2), Field(33000, 12), Field(33001, 12), Field(40000, length)]
    counters = [Field(231, 4), Field(232, 4)] if event == 2 else []
    lists = bytes(range(12)), bytes(range(12, 24))
    record = (
        bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HBH", 1025, event, 1001) + lists[0] + lists[1] + b"alice".ljust(length, b"\0")
    )
    packet = netflow9(define(template(263, *fields, *counters)), a_set(263, record + (struct.pack(">II", 500, 700) if counters else b"")))
    (row,) = wire(packet).rows
    assert (row["ingressAclId"], row["egressAclId"]) == lists
    assert (row["userName"], row["firewallEvent"], row["firewallExtendedEvent"]) == ("alice", event, 1001)
    (row,) = flows(packet).rows
    assert (row["user_name"], row["firewall_event"], row.get("packets")) == ("alice", event, None)
    assert (row.get("bytes"), row.get("reverse_bytes")) == ((500, 700) if counters else (None, None))


def test_refused_templates() -> None:
    """FF-V9-13, FF-Q-05: no fields, or no octets in all of them; fields of no octets among others are no columns, and do no harm."""
    refused = wire(netflow9(define(template(256), template(257, Field(8, 0), Field(12, 0))), a_set(256, bytes(8)), a_set(257, bytes(8))))
    assert (refused.rows, refused.stats["warnings"]["template_refused"]) == ([], 2)
    accepted = wire(netflow9(define(template(258, Field(8, 0), Field(4, 1))), a_set(258, b"\6\x11")))
    assert accepted.rows == [{"protocolIdentifier": 6}, {"protocolIdentifier": 17}]


def test_variable_length_is_ipfix_own() -> None:
    """FF-V9-12: some exporters send it all the same."""
    packet = netflow9(define(template(256, Field(82, VARIABLE), Field(4, 1))), a_set(256, variable(b"eth0") + b"\6"))
    decoded = wire(packet)
    assert decoded.rows == [{"interfaceName": "eth0", "protocolIdentifier": 6}]
    assert decoded.stats["warnings"]["netflow9_variable_length"] == 1


@pytest.mark.parametrize("fields", range(2, 9))
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("more", [0, 1])
def test_options_templates_that_count_fields(fields: int, padding: int, more: int) -> None:
    """FF-Q-04: field count and scope count, as in IPFIX, instead of two lengths in octets: told by which of them can be meant."""
    for scopes in range(1, fields):
        specifiers = [Field(2, 4)] * scopes + [Field(41, 4)] * (fields - scopes)
        counted = struct.pack(">HHH", 300, fields, scopes) + b"".join(field.octets for field in specifiers)
        another = [options_template9(301, 1, Field(1, 4), Field(41, 4))] * more
        record = b"".join(n.to_bytes(4) for n in range(1, fields + 1))
        decoded = wire(netflow9(options_templates(counted, *another, version=9, padding=bytes(padding)), a_set(300, record)))
        (row,) = decoded.options
        assert list(row.values()) == list(range(1, fields + 1))
        assert list(row)[:scopes] == ["scope_interface", *(f"scope_interface_{n}" for n in range(2, scopes + 1))]
        assert decoded.stats["warnings"]["netflow9_options_form"] == 1
        assert decoded.stats["options_templates_received"] == 1 + more


def test_sequence_counts_packets() -> None:
    """FF-V9-04: per exporter and Source ID, modulo 2^32; the unit is in the counter's name."""
    empty = [netflow9(sequence=sequence, source=source) for sequence, source in [(2**32 - 1, 1), (0, 1), (7, 2), (3, 1), (8, 2)]]
    stats = wire(*empty).stats
    assert (stats["sequence_lost_packets"], stats["sequence_lost_records"]) == (2, 0)


def test_source_ids_do_not_mix() -> None:
    """FF-V9-01: one template id, two layouts."""
    first = netflow9(define(template(256, Field(1, 4), Field(2, 4))), source=1)
    second = netflow9(define(template(256, Field(2, 4), Field(1, 4))), source=2)
    record = struct.pack(">II", 11, 22)
    rows = wire(first, second, netflow9(a_set(256, record), source=1), netflow9(a_set(256, record), source=2)).rows
    assert [(row["octetDeltaCount"], row["packetDeltaCount"]) for row in rows] == [(11, 22), (22, 11)]


def test_scopes_are_columns() -> None:
    """FF-V9-11: by their type (RFC 3954 section 6.1), before the options."""
    scopes = (Field(1, 4), Field(2, 4), Field(3, 2), Field(4, 2), Field(5, 2))
    packet = netflow9(
        options_templates(options_template9(300, 5, *scopes, Field(40, 8)), version=9),
        a_set(300, bytes([192, 0, 2, 1]) + struct.pack(">IHHHQ", 17, 3, 4, 256, 12345)),
    )
    (row,) = wire(packet).options
    assert list(row.items()) == [
        ("scope_system", "192.0.2.1"),
        ("scope_interface", 17),
        ("scope_line_card", 3),
        ("scope_cache", 4),
        ("scope_template", 256),
        ("exportedOctetTotalCount", 12345),
    ]


def test_data_of_the_export_time() -> None:
    """FF-V9-15: where a record has absolute times, the header's clock is not asked."""
    fields = (Field(152, 8), Field(153, 8), Field(22, 4), Field(21, 4))
    times_ms = (EXPORT_S * 1000 - 77, EXPORT_S * 1000 - 7)
    (row,) = flows(netflow9(define(template(256, *fields)), a_set(256, struct.pack(">QQII", *times_ms, 1, 2)))).rows
    assert (row["time_flow_start"] // 1000, row["time_flow_end"] // 1000) == times_ms
