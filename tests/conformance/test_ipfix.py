"""IPFIX messages, sets and templates (spec 2.3.2 to 2.3.4, RFC 7011)."""

import random
import struct

import pytest
from decoding import counted, decode, flows, plain_address, session, wire

from oracle.exporter import (
    EXPORT_S,
    VARIABLE,
    Field,
    a_set,
    ipfix,
    options_template,
    options_template9,
    options_templates,
    template,
    templates,
    variable,
)

OCTETS = Field(1, 8)
DOMAIN = Field(149, 4)


def number(value: int) -> bytes:
    return value.to_bytes(8)


def define(*records: bytes) -> bytes:
    return templates(*records)


ONE = define(template(256, OCTETS))


@pytest.mark.parametrize("length", [0, 15, 17, 1000, 65535])
def test_message_length(length: int) -> None:
    """FF-IX-03, FF-IX-04: below the header, or beyond the datagram, the message is malformed."""
    message = ipfix()
    decoded = wire(message[:2] + length.to_bytes(2) + message[4:])
    assert (decoded.rows, counted(decoded.stats)) == ([], {"message_length": 1})


def test_octets_behind_the_message() -> None:
    """FF-IX-04: some senders pad; what stands behind the message is ignored, though it looks like a set, and counted."""
    decoded = wire(ipfix(ONE, a_set(256, number(1))) + a_set(256, number(2)))
    assert (decoded.rows, decoded.stats["warnings"]["trailing_octets"]) == ([{"octetDeltaCount": 1}], 1)


def test_versions() -> None:
    """FF-IX-01: of no format that is known: discarded and counted."""
    for version in (0, 4, 11, 0x0A0A, 65535):
        decoded = wire(version.to_bytes(2) + ipfix(ONE)[2:])
        assert counted(decoded.stats) == {"unknown_version": 1}


FAULTS = {
    "set_length": a_set(256, number(2))[:2] + b"\0\3" + number(2),
    "set_overrun": struct.pack(">HH", 256, 13) + number(2),
    "template_overrun": templates(struct.pack(">HH", 300, 2) + OCTETS.octets),
    "template_id": define(template(255, OCTETS)),
    "scope_count": options_templates(options_template(300, 0, DOMAIN)),
    "variable_overrun": define(template(300, Field(82, VARIABLE))) + a_set(300, b"\x05eth0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_message_leaves_nothing(fault: str) -> None:
    """FF-IX-03, FF-IX-13, FF-IX-14: nor its template, nor the records before the fault; `lenient` keeps what stands before it."""
    message = ipfix(ONE, a_set(256, number(1)), FAULTS[fault])
    strict = wire(message, ipfix(a_set(256, number(3)), sequence=1))
    assert (strict.rows, counted(strict.stats)) == ([], {fault: 1})
    assert (strict.stats["sets_waiting"], strict.stats["templates_received"]) == (1, 0)
    lenient = wire(message, ipfix(a_set(256, number(3)), sequence=1), lenient=True)
    assert [row["octetDeltaCount"] for row in lenient.rows] == [1, 3]
    assert lenient.stats["warnings"]["malformed_tail"] == 1


@pytest.mark.parametrize("set_id", [0, 1, 4, 100, 255])
def test_reserved_sets_are_skipped(set_id: int) -> None:
    """FF-IX-05: by their length, and the rest of the message is decoded."""
    decoded = wire(ipfix(a_set(set_id, b"\0\1\2"), ONE, a_set(set_id), a_set(256, number(1)), a_set(set_id, bytes(9))))
    assert (decoded.rows, decoded.stats["warnings"]["unknown_set"]) == ([{"octetDeltaCount": 1}], 3)


@pytest.mark.parametrize("padding", [0, 3])
def test_template_sets_under_the_ids_of_netflow9(padding: int) -> None:
    """FF-Q-04, FF-IX-05: skipped, as RFC 7011 wants; read by `lenient`, of options in either form, but for what is no template."""
    flow = a_set(0, template(256, OCTETS, Field(5, 2, 64000)), padding=bytes(padding))
    ours = a_set(1, options_template9(300, 1, Field(2, 4), Field(34, 4)), padding=bytes(padding))
    theirs = a_set(1, options_template(301, 1, Field(10, 4), Field(34, 4)), padding=bytes(padding))
    options = a_set(300, struct.pack(">II", 7, 100)) + a_set(301, struct.pack(">II", 8, 200))
    others = [a_set(0, b"\1\0\0\2\0\1\0\4"), a_set(1, b"\0\1\2"), a_set(0, bytes(8)), a_set(4, template(257, OCTETS))]
    message = ipfix(flow, ours, theirs, options, *others, a_set(256, number(1) + b"ab"))
    strict, lenient = wire(message), wire(message, lenient=True)
    assert (strict.rows, strict.options, strict.stats["warnings"]["unknown_set"]) == ([], [], 7)
    assert lenient.rows == [{"octetDeltaCount": 1, "e64000_i5": b"ab"}]
    rates = [{"scope_interface": 7, "samplingInterval": 100}, {"ingressInterface": 8, "samplingInterval": 200}]
    assert sorted(lenient.options, key=lambda row: row["samplingInterval"]) == rates
    warnings = lenient.stats["warnings"]
    assert (warnings["netflow9_set_id"], warnings["unknown_set"], warnings["malformed_tail"]) == (3, 4, 0)


def test_sets_in_any_order() -> None:
    """FF-IX-06, FF-IX-07, FF-TL-09: what a template says holds for what stands behind it in the message."""
    message = ipfix(
        ONE,
        a_set(256, number(1)),
        define(template(257, Field(4, 1)), template(256, Field(2, 8))),
        a_set(257, b"\6"),
        a_set(256, number(2)),
        ONE,
        a_set(256, number(3)),
    )
    decoded = wire(message)
    assert sorted(map(str, decoded.rows)) == sorted(
        map(str, [{"octetDeltaCount": 1}, {"protocolIdentifier": 6}, {"packetDeltaCount": 2}, {"octetDeltaCount": 3}])
    )
    assert decoded.stats["warnings"]["template_redefined"] == 2


@pytest.mark.parametrize("octets", range(12))
@pytest.mark.parametrize("fill", [0, 1, 255])
def test_padding(octets: int, fill: int) -> None:
    """FF-IX-08, FF-IX-09: the rest of a set, shorter than the shortest record: 8 + 2 fixed octets and 1 for each of two of any length."""
    fields = (OCTETS, Field(82, VARIABLE), Field(7, 2), Field(83, VARIABLE))
    record = number(5) + variable(b"") + b"\0\x50" + variable(b"")
    padding = bytes([fill]) * octets
    decoded = wire(ipfix(define(template(256, *fields)), a_set(256, record, record, padding=padding)))
    expected = {"octetDeltaCount": 5, "interfaceName": "", "sourceTransportPort": 80, "interfaceDescription": ""}
    assert decoded.rows == [expected, expected]


def test_padding_of_twelve_octets_is_a_record() -> None:
    """FF-IX-09: and one octet more than that is no padding: zeros are a record like any other."""
    fields = (OCTETS, Field(82, VARIABLE), Field(7, 2), Field(83, VARIABLE))
    assert len(wire(ipfix(define(template(256, *fields)), a_set(256, bytes(12)))).rows) == 1


def test_padding_of_template_sets() -> None:
    """FF-IX-08: RFC 7011 section 3.3.1."""
    for octets in range(4):
        message = ipfix(templates(template(256, OCTETS), padding=bytes(octets)), a_set(256, number(1)))
        assert wire(message).rows == [{"octetDeltaCount": 1}]


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_padding_octets_are_no_column(length: int) -> None:
    """FF-IX-10: a field of one octet beside three of padding is one record every four octets."""
    records = [bytes([n]) + bytes(length) for n in (6, 17, 1)]
    decoded = wire(ipfix(define(template(256, Field(4, 1), Field(210, length))), a_set(256, *records)))
    assert decoded.rows == [{"protocolIdentifier": n} for n in (6, 17, 1)]
    assert sum(decoded.stats["warnings"].values()) == 0


def test_template_ids_mean_nothing() -> None:
    """FF-IX-11: the lowest, the highest, and any in any order, each with its own layout."""
    ids = [256, 65535, *random.Random(5).sample(range(257, 65535), 60)]
    records = [template(template_id, Field(1, 1 + index % 8), *[Field(4, 1)] * (index % 2)) for index, template_id in enumerate(ids)]
    data = [a_set(template_id, bytes(index % 8) + bytes([index]), *[b"\6"] * (index % 2)) for index, template_id in enumerate(ids)]
    random.Random(6).shuffle(data)
    rows = wire(ipfix(define(*records)), ipfix(*data)).rows
    assert sorted(row["octetDeltaCount"] for row in rows) == list(range(len(ids)))
    assert sum("protocolIdentifier" in row for row in rows) == len(ids) // 2


def test_repeated_elements() -> None:
    """FF-IX-16, FF-PS-02, FF-MIB-01, FF-MIB-03: every occurrence, in the order of the template, be they together or apart."""
    fields = (Field(8, 4), Field(302, 2), Field(8, 4), Field(302, 2), Field(302, 2), Field(434, 4), Field(440, 4), Field(434, 4))
    record = bytes([10, 0, 0, 1]) + b"\0\1" + bytes([10, 0, 0, 2]) + b"\0\2\0\3" + struct.pack(">iIi", -5, 7, 6)
    (row,) = wire(ipfix(define(template(256, *fields)), a_set(256, record))).rows
    assert row == {
        "sourceIPv4Address": "10.0.0.1", "sourceIPv4Address_2": "10.0.0.2", "selectorId": 1, "selectorId_2": 2, "selectorId_3": 3,
        "mibObjectValueInteger": -5, "mibObjectValueInteger_2": 6, "mibObjectValueGauge": 7,
    }  # fmt: skip


def test_original_exporters() -> None:
    """FF-Q-10: RFC 7119: the one that a mediator names goes over the one that names itself, of whichever family, whatever the flow's."""
    own4, own6, first4, first6 = b"\xc0\0\2\7", bytes(15) + b"\7", b"\xc0\0\2\10", b" \1\r\xb8" + bytes(11) + b"\10"
    fields = {130: own4, 131: own6, 403: first4, 404: first6}
    flow = {8: b"\x0a\0\0\1", 12: b"\x0a\0\0\2"}
    columns = ["sampler_address", "original_exporter"]
    cases = [
        ({}, None),
        ({130}, "192.0.2.7"),
        ({131}, "::7"),
        ({130, 403}, "192.0.2.8"),
        ({131, 403}, "192.0.2.8"),
        ({130, 404}, "2001:db8::8"),
        ({403, 404}, "2001:db8::8"),
    ]
    for elements, expected in cases:
        sent = flow | {element: fields[element] for element in sorted(elements)}
        message = ipfix(
            templates(template(256, *[Field(element, len(octets)) for element, octets in sent.items()])), a_set(256, *sent.values())
        )
        (row,) = flows(message, columns=columns).rows
        assert [plain_address(row.get(name)) for name in columns] == ["192.0.2.1", expected]
    unset = flow | {403: first4, 404: bytes(16)}
    define = templates(template(256, *[Field(element, len(octets)) for element, octets in unset.items()]))
    (row,) = flows(ipfix(define, a_set(256, *unset.values())), columns=["original_exporter"]).rows
    assert plain_address(row["original_exporter"]) == "192.0.2.8"


def test_the_headers_of_a_tunnel() -> None:
    """FF-IX-16: RFC 7011 section 8: where protocol and ports stand twice, the second are those of the packet in the tunnel."""
    outer = {27: bytes(15) + b"\1", 28: bytes(15) + b"\2", 7: b"\0\0", 11: b"\0\0", 4: b"\4", 6: b"\0\0"}
    inner = {8: b"\x0a\0\0\1", 12: b"\x0a\0\0\2", 7: b"\x04\x57", 11: b"\x08\xae", 4: b"\x06", 6: b"\0\x12"}
    inner6 = {27: bytes(15) + b"\3", 28: bytes(15) + b"\4", **{n: inner[n] for n in (7, 11, 4, 6)}}
    columns = ["src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags"]

    def row(*headers: dict[int, bytes]) -> list[object]:
        sent = [(element, octets) for header in headers for element, octets in header.items()]
        define = templates(template(256, *[Field(element, len(octets)) for element, octets in sent]))
        message = ipfix(define, a_set(256, b"".join(octets for _, octets in sent)))
        (found,) = flows(message, columns=[*columns, *(f"inner_{name}" for name in columns)]).rows
        return [plain_address(found.get(name)) for name in (*columns, *(f"inner_{name}" for name in columns))]

    assert row(outer, inner) == ["::1", "::2", 0, 0, 4, 0, "10.0.0.1", "10.0.0.2", 1111, 2222, 6, 18]
    assert row(outer, inner6) == ["::1", "::2", 0, 0, 4, 0, "::3", "::4", 1111, 2222, 6, 18]
    # one field twice is no second header
    assert row(inner, {4: b"\x11"}, {27: bytes(16), 28: bytes(16)})[:5] == ["10.0.0.1", "10.0.0.2", 1111, 2222, 6]
    assert row(inner, {4: b"\x11"})[6:] == [None] * 6


def test_unknown_elements_are_kept() -> None:
    """FF-IX-17: of no enterprise that is known, and of IANA's range: octets under their numbers, and a warning for each."""
    fields = (Field(5, 3, 64000), Field(32000, 2), Field(4, 1), Field(6, VARIABLE, 64000))
    decoded = wire(ipfix(define(template(256, *fields)), a_set(256, b"abc" + b"de" + b"\6" + variable(b"fgh"))))
    assert decoded.rows == [{"e64000_i5": b"abc", "e0_i32000": b"de", "protocolIdentifier": 6, "e64000_i6": b"fgh"}]
    assert decoded.stats["warnings"]["unknown_element"] == 3


SCOPES = {
    149: (4, b"\0\0\0\7", ("observationDomainId", 7)),
    144: (4, b"\0\0\0\7", ("exportingProcessId", 7)),
    143: (4, b"\0\0\0\7", ("meteringProcessId", 7)),
    145: (2, b"\1\0", ("templateId", 256)),
    141: (4, b"\0\0\0\7", ("lineCardId", 7)),
    130: (4, bytes([192, 0, 2, 1]), ("exporterIPv4Address", "192.0.2.1")),
    131: (16, bytes(15) + b"\1", ("exporterIPv6Address", "::1")),
    10: (4, b"\0\0\0\7", ("ingressInterface", 7)),
    82: (VARIABLE, variable(b"eth0"), ("interfaceName", "eth0")),
    32000: (3, b"abc", ("e0_i32000", b"abc")),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_scopes(scope: int) -> None:
    """FF-IX-18: any element may be a scope; RFC 5471 section 3.4.1."""
    length, octets, (name, value) = SCOPES[scope]
    message = ipfix(options_templates(options_template(256, 1, Field(scope, length), Field(41, 4))), a_set(256, octets + b"\0\0\0\x63"))
    assert [list(row.items()) for row in wire(message).options] == [[(name, value), ("exportedMessageTotalCount", 99)]]


def test_scopes_keep_their_order() -> None:
    """FF-IX-18: also where the registry's order is another, and enterprise elements stand between; RFC 5471 section 3.4.2."""
    for order in ((149, 10, 64000), (64000, 10, 149), (10, 64000, 149)):
        scopes = {149: Field(149, 4), 10: Field(10, 4), 64000: Field(5, 4, 64000)}
        record = b"".join(n.to_bytes(4) for n in (1, 2, 3)) + b"\0\0\0\4"
        fields = [*(scopes[which] for which in order), Field(41, 4)]
        (row,) = wire(ipfix(options_templates(options_template(256, 3, *fields)), a_set(256, record))).options
        names = {149: "observationDomainId", 10: "ingressInterface", 64000: "e64000_i5"}
        assert list(row)[:3] == [names[which] for which in order]


def test_scopes_may_be_all_of_a_record() -> None:
    """FF-IX-13: as many as fields, and not one more."""
    options = options_templates(options_template(256, 2, DOMAIN, Field(41, 4)))
    assert len(wire(ipfix(options, a_set(256, bytes(8)))).options) == 1
    decoded = wire(ipfix(options_templates(options_template(256, 3, DOMAIN, Field(41, 4)))))
    assert counted(decoded.stats) == {"scope_count": 1}


def test_domains_do_not_mix() -> None:
    """FF-IX-19, FF-IX-21, FF-Q-09: line cards of one exporter, domain 0 among them, use one id for layouts of their own."""
    layouts = {0: (Field(1, 4), Field(2, 4)), 1: (Field(2, 4), Field(1, 4)), 2**32 - 1: (Field(1, 8),)}
    record = struct.pack(">II", 11, 22)
    rows = wire(
        *[ipfix(define(template(256, *fields)), domain=domain) for domain, fields in layouts.items()],
        *[ipfix(a_set(256, record), domain=domain) for domain in layouts],
    ).rows
    seen = sorted((row["octetDeltaCount"], row.get("packetDeltaCount")) for row in rows)
    assert seen == [(11, 22), (22, 11), (11 << 32 | 22, None)]


def test_templates_and_options_templates_share_ids() -> None:
    """FF-IX-12: each replaces the other."""
    options = options_templates(options_template(256, 1, DOMAIN, Field(41, 4)))
    decoded = wire(
        ipfix(ONE, a_set(256, number(1)), options, a_set(256, number(2))),
        ipfix(a_set(256, number(3)), ONE, a_set(256, number(4)), sequence=2),
    )
    assert decoded.rows == [{"octetDeltaCount": 1}, {"octetDeltaCount": 4}]
    assert [row["exportedMessageTotalCount"] for row in decoded.options] == [2, 3]


def test_withdrawals_over_udp() -> None:
    """FF-TL-04, FF-TL-05, FF-SEC-04: ignored and counted: anyone can send one."""
    withdrawals = ipfix(define(template(256)), define(template(2)), options_templates(template(3)), define(template(999)), sequence=1)
    decoded = wire(ipfix(ONE, a_set(256, number(1))), withdrawals, ipfix(a_set(256, number(2)), sequence=1))
    assert [row["octetDeltaCount"] for row in decoded.rows] == [1, 2]
    assert decoded.stats["warnings"]["withdrawal_ignored"] == 4


@pytest.mark.parametrize("definitions_s", [(0, 0), (0, -3600), (3600, 0), (-3600, 3600)])
def test_what_is_received_after_a_template(definitions_s: tuple[int, int]) -> None:
    """FF-TL-13: there is no reorder buffer: a template holds for what is received after it, until another is, whatever the Export Times."""
    first_s, second_s = (EXPORT_S + offset_s for offset_s in definitions_s)
    messages = [ipfix(ONE, export_s=first_s)]
    messages += [ipfix(a_set(256, number(n)), sequence=n, export_s=EXPORT_S + offset_s) for n, offset_s in enumerate((-7200, 0, 7200))]
    messages.append(ipfix(define(template(256)), sequence=3, export_s=second_s))  # of no effect over UDP
    messages.append(ipfix(a_set(256, number(3)), sequence=3, export_s=second_s + 1))
    messages.append(ipfix(define(template(256, Field(2, 8))), sequence=4, export_s=second_s))
    messages += [ipfix(a_set(256, number(n)), sequence=n, export_s=EXPORT_S + offset_s) for n, offset_s in enumerate((-7200, 0, 7200), 4)]
    decoded = wire(*messages)
    rows = [{"octetDeltaCount": n} for n in range(4)] + [{"packetDeltaCount": n} for n in range(4, 7)]
    assert sorted(decoded.rows, key=lambda row: next(iter(row.values()))) == rows


def test_the_largest_message() -> None:
    """FF-IX-02, FF-DT-05: 65 535 octets, one field of which takes nearly all."""
    body = bytes(range(256)) * 256
    text = body[: 65535 - 16 - 4 - 3 - 16]
    message = ipfix(define(template(256, Field(5, VARIABLE, 64000), Field(4, 1))))
    rest = ipfix(a_set(256, variable(text[:-1]) + b"\6"))
    whole = ipfix(a_set(256, variable(body[: 65535 - 16 - 4 - 3 - 1]) + b"\6"))
    assert len(whole) == 65535
    rows = wire(message, rest, whole).rows
    assert [row["e64000_i5"] for row in rows] == [text[:-1], body[: 65535 - 24]]


def test_sequence_counts_data_records() -> None:
    """FF-SQ-01, FF-SQ-02, FF-SQ-05: options data counts, templates do not; modulo 2^32; an unreadable set makes one step uncertain."""
    options = options_templates(options_template(257, 1, DOMAIN, Field(41, 4)))
    two = (a_set(256, number(1)), a_set(257, number(2)))
    steps = [
        (ipfix(ONE, options, sequence=2**32 - 3), 0),
        (ipfix(*two, sequence=2**32 - 3), 0),
        (ipfix(*two, sequence=2**32 - 1), 0),
        (ipfix(*two, sequence=6), 5),
        (ipfix(a_set(999, bytes(40)), sequence=8), 0),
        (ipfix(*two, sequence=17), 0),
        (ipfix(*two, sequence=20), 1),
    ]
    lost = 0
    for number_of, (_, more) in enumerate(steps, 1):
        lost += more
        assert wire(*[message for message, _ in steps[:number_of]]).stats["sequence_lost_records"] == lost


def test_late_and_doubled_messages() -> None:
    """FF-SQ-04: two that came late, one of them twice: what was taken for lost is told apart from what is."""
    messages = [ipfix(ONE), *[ipfix(a_set(256, number(n)), sequence=n) for n in (0, 1, 4, 2, 3, 3, 5)]]
    stats = wire(*messages).stats
    assert (stats["warnings"]["out_of_order"], stats["warnings"]["duplicate"]) == (2, 1)
    assert (stats["sequence_lost_records"], stats["sequence_late_records"]) == (2, 2)


@pytest.mark.parametrize(("sent_s", "received_s"), [(2**32 - 5, 2**32 - 1), (3, 2**32 + 10), (EXPORT_S, EXPORT_S + 1)])
def test_the_export_time_of_2106(sent_s: int, received_s: int) -> None:
    """FF-SQ-07, FF-DT-07: of 32 bits, so the one nearest to when the message was received."""
    message = ipfix(define(template(256, Field(158, 4))), a_set(256, (250_000).to_bytes(4)), export_s=sent_s)
    (datagram,) = session(message)
    at = type(datagram)(1, received_s * 10**9, datagram.source, 1, 4739, message)
    (row,) = decode([at], "flows").rows
    absolute_s = min((sent_s + era * 2**32 for era in (0, 1)), key=lambda time_s: abs(time_s - received_s))
    assert row["time_flow_start"] == absolute_s * 10**6 - 250_000


def test_delta_times() -> None:
    """FF-DT-07: microseconds before the message's export time."""
    fields = (Field(158, 4), Field(159, 4))
    (row,) = flows(ipfix(define(template(256, *fields)), a_set(256, struct.pack(">II", 5_000_001, 7)))).rows
    assert (row["time_flow_start"], row["time_flow_end"]) == (EXPORT_S * 10**6 - 5_000_001, EXPORT_S * 10**6 - 7)


UPTIMES = (Field(22, 4), Field(21, 4))
BOOT = (EXPORT_S - 3600) * 1000


def test_times_since_the_start_of_the_exporter() -> None:
    """FF-DT-08, FF-EN-07: systemInitTimeMilliseconds of the record or of options data is their base; without one there is no time."""
    uptimes = struct.pack(">II", 1000, 2000)
    alone = ipfix(define(template(256, *UPTIMES)), a_set(256, uptimes))
    (row,) = flows(alone).rows
    assert "time_flow_start" not in row
    assert "time_flow_end" not in row
    (row,) = wire(alone).rows
    assert row == {"flowStartSysUpTime": 1000, "flowEndSysUpTime": 2000}
    own = ipfix(define(template(256, *UPTIMES, Field(160, 8))), a_set(256, uptimes + BOOT.to_bytes(8)))
    told = ipfix(options_templates(options_template(300, 1, DOMAIN, Field(160, 8))), a_set(300, b"\0\0\0\1" + BOOT.to_bytes(8)))
    for messages in ([own], [told, alone]):
        (row,) = flows(*messages).rows
        assert (row["time_flow_start"], row["time_flow_end"]) == ((BOOT + 1000) * 1000, (BOOT + 2000) * 1000)


def test_lifetime_of_a_template() -> None:
    """FF-TL-01, FF-TL-08, FF-TL-10: 1800 s after it was last sent; sent again it lives on, and nothing is made of that."""
    messages = [ipfix(ONE), ipfix(a_set(256, number(1))), ipfix(ONE, sequence=1), ipfix(a_set(256, number(2)), sequence=1)]
    for every_s, rows, expired in [(1799, [1, 2], 0), (1801, [], 2)]:
        decoded = decode(session(*messages, every_s=every_s), "wire")
        assert [row["octetDeltaCount"] for row in decoded.rows] == rows
        assert decoded.stats["sets_discarded"]["expired_template"] == expired
        assert decoded.stats["warnings"]["template_redefined"] == 0
