"""Abstract data types (spec 2.3.5, RFC 7011 sections 6 and 7) and elements with rules of their own (spec 2.13, 2.17)."""

import struct
from typing import Any

import pyarrow as pa
import pytest
from decoding import counted, flows, wire

from flowfast import _core
from oracle.exporter import EXPORT_S, VARIABLE, Field, a_set, encode, ipfix, netflow9, template, templates, variable

# An element of each type (IANA): type, full length, a value and its octets by RFC 7011 section 6.1.
TYPES: dict[int, tuple[str, int, Any, bytes]] = {
    313: ("octetArray", 5, b"\0\xff\1\2\3", b"\0\xff\1\2\3"),
    4: ("unsigned8", 1, 255, b"\xff"),
    7: ("unsigned16", 2, 65534, b"\xff\xfe"),
    10: ("unsigned32", 4, 4294967293, b"\xff\xff\xff\xfd"),
    1: ("unsigned64", 8, 2**64 - 2, b"\xff" * 7 + b"\xfe"),
    434: ("signed32", 4, -2, b"\xff\xff\xff\xfe"),
    320: ("float64", 8, -0.15625, b"\xbf\xc4" + bytes(6)),
    276: ("boolean", 1, True, b"\1"),
    56: ("macAddress", 6, "00:01:fe:ff:7f:80", b"\0\1\xfe\xff\x7f\x80"),
    82: ("string", 9, "größe", b"gr\xc3\xb6\xc3\x9fe\0\0"),
    150: ("dateTimeSeconds", 4, EXPORT_S * 10**9, struct.pack(">I", EXPORT_S)),
    152: ("dateTimeMilliseconds", 8, EXPORT_S * 10**9 + 7 * 10**6, struct.pack(">Q", EXPORT_S * 1000 + 7)),
    154: ("dateTimeMicroseconds", 8, EXPORT_S * 10**9 + 500_000_000, struct.pack(">II", EXPORT_S + 2_208_988_800, 2**31)),
    156: ("dateTimeNanoseconds", 8, EXPORT_S * 10**9 + 250_000_000, struct.pack(">II", EXPORT_S + 2_208_988_800, 2**30)),
    8: ("ipv4Address", 4, "192.0.2.255", b"\xc0\0\2\xff"),
    27: ("ipv6Address", 16, "2001:db8::1", bytes.fromhex("20010db8" + "00" * 11 + "01")),
}
NAMES = {
    313: "ipHeaderPacketSection", 4: "protocolIdentifier", 7: "sourceTransportPort", 10: "ingressInterface", 1: "octetDeltaCount",
    434: "mibObjectValueInteger", 320: "absoluteError", 276: "dataRecordsReliability", 56: "sourceMacAddress", 82: "interfaceName",
    150: "flowStartSeconds", 152: "flowStartMilliseconds", 154: "flowStartMicroseconds", 156: "flowStartNanoseconds",
    8: "sourceIPv4Address", 27: "sourceIPv6Address",
}  # fmt: skip
REDUCIBLE = [element for element, (kind, length, *_) in TYPES.items() if "signed" in kind and length > 1]


def define(*fields: Field) -> bytes:
    return templates(template(256, *fields))


def one(field: Field, octets: bytes) -> Any:
    """The value of a field, and the counters."""
    decoded = wire(ipfix(define(field, Field(5, 1)), a_set(256, octets + b"\7")))
    (row,) = decoded.rows
    assert row.pop("ipClassOfService") == 7  # what stands behind it is where it belongs
    (value,) = row.values() if row else (None,)
    return value, decoded.stats


def schema(field: Field, octets: bytes) -> pa.DataType:
    decoder = _core.Decoder(schema="wire")
    decoder.decode(ipfix(define(field), a_set(256, octets)), "192.0.2.1")
    (batch,) = decoder.flush()
    return pa.record_batch(batch).schema.field(NAMES[field.id]).type


@pytest.mark.parametrize("element", TYPES)
def test_every_type(element: int) -> None:
    """RFC 5471 section 3.2.1; the writer of the tests agrees with the octets written by hand."""
    kind, length, value, octets = TYPES[element]
    assert one(Field(element, length), octets)[0] == value
    assert encode(kind, value, length).ljust(length, b"\0") == octets


@pytest.mark.parametrize("element", REDUCIBLE)
def test_reduced_sizes(element: int) -> None:
    """FF-DT-02, FF-DT-03: numbers in fewer octets keep their type, and their sign."""
    kind, length, _, _ = TYPES[element]
    whole = schema(Field(element, length), bytes(length))
    for shorter in range(1, length):
        for octets in (b"\xfe" * shorter, b"\1" * shorter, bytes(shorter)):
            value = int.from_bytes(octets, signed=kind.startswith("signed"))
            assert one(Field(element, shorter), octets)[0] == value
            assert schema(Field(element, shorter), octets) == whole


def test_a_float64_in_four_octets() -> None:
    """FF-DT-02, FF-DT-03."""
    assert one(Field(320, 4), struct.pack(">f", -0.15625))[0] == -0.15625
    assert schema(Field(320, 4), bytes(4)) == schema(Field(320, 8), bytes(8)) == pa.float64()


@pytest.mark.parametrize(
    ("element", "length"),
    [(8, 3), (8, 5), (8, 16), (27, 4), (27, 15), (56, 5), (56, 8), (150, 8), (152, 4), (154, 4), (156, 9), (276, 2), (320, 2)],
)
def test_illegal_lengths(element: int, length: int) -> None:
    """FF-DT-02, FF-RB-05: never decoded as something else: the octets are kept, and it is counted."""
    value, stats = one(Field(element, length), bytes(range(length)))
    assert value == bytes(range(length))
    assert stats["warnings"]["illegal_field_length"] == 1


def test_numbers_longer_than_their_type() -> None:
    """FF-DT-04: an ingressInterface of eight octets."""
    assert one(Field(10, 8), (17).to_bytes(8))[0] == 17
    (row,) = flows(ipfix(define(Field(10, 8)), a_set(256, (17).to_bytes(8)))).rows
    assert row["in_if"] == 17
    decoded = flows(ipfix(define(Field(10, 8), Field(4, 1)), a_set(256, (2**40).to_bytes(8) + b"\6")))
    (row,) = decoded.rows
    assert (row.get("in_if"), row["proto"], decoded.stats["warnings"]["value_out_of_range"]) == (None, 6, 1)


@pytest.mark.parametrize("octet", range(256))
def test_booleans(octet: int) -> None:
    """Spec 2.3.5, FF-RB-05: 1 is true, 2 is false, and the rest is nothing, which is counted."""
    value, stats = one(Field(276, 1), bytes([octet]))
    assert value is {1: True, 2: False}.get(octet)
    assert stats["warnings"]["illegal_boolean"] == (octet not in (1, 2))


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"ok\xe2\x28\xa1", b"\xed\xa0\x80"])
def test_strings_that_are_no_utf8(octets: bytes) -> None:
    """Spec 2.3.5, FF-RB-05: null and counted, and the record stays."""
    value, stats = one(Field(82, len(octets)), octets)
    assert (value, stats["warnings"]["illegal_utf8"]) == (None, 1)


@pytest.mark.parametrize(
    ("octets", "text"), [(b"eth0\0\0\0\0", "eth0"), (b"eth0\0\xff\1x", "eth0"), (b"\0\0\0\0\0\0\0\0", ""), (b"eth0eth1",) * 2]
)
def test_strings_of_fixed_length(octets: bytes, text: Any) -> None:
    """FF-Q-11: up to the first NUL, be it padding or garbage that follows; strings of variable length are taken whole."""
    text = text.decode() if isinstance(text, bytes) else text
    assert one(Field(82, 8), octets)[0] == text
    assert one(Field(82, VARIABLE), variable(b"a\0b"))[0] == "a\0b"


@pytest.mark.parametrize("length", [0, 1, 254, 255, 256, 1000, 60000])
@pytest.mark.parametrize("long", [False, True])
def test_variable_lengths(length: int, long: bool) -> None:
    """FF-DT-05: one octet of length, or 255 and two, which may say less than 255 too; the length does not count itself."""
    octets = bytes(n % 251 for n in range(length))
    assert one(Field(313, VARIABLE), variable(octets, long=long))[0] == octets


@pytest.mark.parametrize("element", [element for element in TYPES if element not in (82, 313)])
def test_fixed_types_as_variable_ones(element: int) -> None:
    """FF-DT-06: legal where the length that is carried is."""
    _, _, value, octets = TYPES[element]
    assert one(Field(element, VARIABLE), variable(octets))[0] == value


@pytest.mark.parametrize(("element", "bits"), [(154, ~0x7FF), (156, ~0)])
def test_ntp_times(element: int, bits: int) -> None:
    """FF-DT-01: seconds since 1900 and a fraction of 2^32, of which microseconds have the upper 21 bits; both eras (FF-SQ-07)."""
    for seconds_s in (0, EXPORT_S, 2**31, 2_085_978_496 + 5):  # 1970, 2023, 2038, 2036 in era 1
        for fraction in (0, 1, 2047, 2048, 2**31, 2**31 + 2047, 2**32 - 1, 3_000_000_001):
            value, _ = one(Field(element, 8), struct.pack(">II", (seconds_s + 2_208_988_800) % 2**32, fraction))
            exact_ns = (fraction & bits) * 10**9 / 2**32
            unit_ns = 1000 if element == 154 else 1
            # Below a unit; where microseconds are rounded is the decoder's to say (docs/decisions/0006-times.md).
            assert abs(value - seconds_s * 10**9 - exact_ns) <= unit_ns
            assert value % unit_ns == 0
            if not fraction & bits:
                assert value == seconds_s * 10**9


@pytest.mark.parametrize("octets", [b"\x12", b"\xff\x12", b"\x10\x02", b"\x01\x12", b"\0\0\xff\x12"])
def test_tcp_flags(octets: bytes) -> None:
    """FF-TCP-01: one octet is the low one; of two, the four bits of the data offset are masked in `flows` (RFC 9565 section 3)."""
    whole = int.from_bytes(octets)
    message = ipfix(define(Field(6, len(octets))), a_set(256, octets))
    assert flows(message).rows[0]["tcp_flags"] == whole & 0x0FFF
    assert wire(message).rows[0]["tcpControlBits"] == whole


@pytest.mark.parametrize("octets", [b"\x42", b"\0\0\0\x42", b"\xff\xff\xff\x42"])
def test_forwarding_status(octets: bytes) -> None:
    """Spec 2.13: one octet or four, of which the low one counts."""
    (row,) = flows(ipfix(define(Field(89, len(octets))), a_set(256, octets))).rows
    assert row["forwarding_status"] == 0x42


def test_mpls_labels() -> None:
    """Spec 2.13: three octets each: label, three bits, bottom of the stack."""
    stack = [(100 << 4).to_bytes(3), (200 << 4 | 3 << 1 | 1).to_bytes(3), (300 << 4 | 1).to_bytes(3)]
    (row,) = flows(ipfix(define(*[Field(70 + n, 3) for n in range(3)]), a_set(256, b"".join(stack)))).rows
    assert row["mpls_label"] == [100, 200]


@pytest.mark.parametrize("direction", [0, 1, 2, 255])
def test_directions(direction: int) -> None:
    """FF-Q-13: passed on as it came."""
    (row,) = flows(netflow9(templates(template(256, Field(61, 1)), version=9), a_set(256, bytes([direction])))).rows
    assert row["flow_direction"] == direction


def test_mac_addresses() -> None:
    """FF-Q-12: named as IANA names them; either of a pair fills the column of its side."""
    macs = [bytes([n] * 6) for n in (1, 2, 3, 4)]
    message = ipfix(define(*[Field(element, 6) for element in (56, 57, 80, 81)]), a_set(256, b"".join(macs)))
    assert wire(message).rows == [
        {
            "sourceMacAddress": "01:01:01:01:01:01", "postDestinationMacAddress": "02:02:02:02:02:02",
            "destinationMacAddress": "03:03:03:03:03:03", "postSourceMacAddress": "04:04:04:04:04:04",
        }
    ]  # fmt: skip
    (row,) = flows(message).rows
    assert (row["src_mac"], row["dst_mac"]) == (0x010101010101, 0x030303030303)
    (row,) = flows(ipfix(define(Field(57, 6), Field(81, 6)), a_set(256, macs[1] + macs[3]))).rows
    assert (row["src_mac"], row["dst_mac"]) == (0x040404040404, 0x020202020202)


def test_translations() -> None:
    """FF-NAT-02, FF-NAT-04: events without counters, old and new; their time is that of the observation."""
    fields = (Field(323, 8), Field(230, 1), Field(8, 4), Field(225, 4), Field(7, 2), Field(227, 2))
    for event in (1, 2, 4, 5, 16):
        record = struct.pack(">QB4s4sHH", EXPORT_S * 1000, event, b"\x0a\0\0\1", b"\xc0\0\2\1", 1025, 40000)
        (row,) = flows(ipfix(define(*fields), a_set(256, record))).rows
        assert (row["nat_event"], row["post_nat_src_port"], row.get("bytes"), row.get("packets")) == (event, 40000, None, None)
        assert row["time_flow_start"] == row["time_flow_end"] == EXPORT_S * 10**6


def test_port_blocks() -> None:
    """FF-NAT-03: RFC 8158: start, end, step and number of ports, as they were sent."""
    fields = [Field(element, 2) for element in (361, 362, 363, 364)]
    (row,) = wire(ipfix(define(*fields), a_set(256, struct.pack(">HHHH", 1024, 2047, 1, 1024)))).rows
    assert row == {"portRangeStart": 1024, "portRangeEnd": 2047, "portRangeStepSize": 1, "portRangeNumPorts": 1024}


@pytest.mark.parametrize(
    ("start", "end", "step", "sent", "size"),
    [
        (1024, 2047, 1, 1024, 1024),
        (1024, 2047, 1, 0, 1024),
        (1024, 2047, 0, 0, 1024),
        (1024, 2047, 4, 0, 256),  # 1024, 1028, ..., 2044
        (1024, 2048, 4, 0, 257),  # and 2048
        (1024, 1024, 1, 0, 1),
        (1, 65535, 1, 0, 65535),
        (1024, 0, 1, 64, 64),  # as sent, whatever else is missing
        (1024, 2047, 1, 7, 7),
        (0, 2047, 1, 0, None),
        (1024, 0, 1, 0, None),
        (2047, 1024, 1, 0, None),
    ],
)
def test_sizes_of_port_blocks(start: int, end: int, step: int, sent: int, size: int | None) -> None:
    """FF-NAT-03: RFC 8158 section 5.5, RFC 8045: zeros are unspecified; without a number of ports, those from start to end, every step."""
    columns = ["port_range_start", "port_range_end", "port_range_step", "port_range_size"]
    four = [Field(element, 2) for element in (361, 362, 363, 364)]
    (row,) = flows(ipfix(define(*four), a_set(256, struct.pack(">HHHH", start, end, step, sent))), columns=columns).rows
    assert (row["port_range_start"], row["port_range_end"], row["port_range_step"]) == (start, end, step)
    assert row.get("port_range_size") == size
    if step == 1 and not sent:  # as exporters do that leave out what is always the same
        two = [Field(361, 2), Field(362, 2)]
        (row,) = flows(ipfix(define(*two), a_set(256, struct.pack(">HH", start, end))), columns=["port_range_size"]).rows
        assert row.get("port_range_size") == size


# column: element, its length, and names that the RFCs give to some of its values
ENUMERATED = {
    "nat_event_name": (230, 1, {0: None, 4: "NAT44 session create", 7: "NAT64 session delete", 18: "Threshold Reached", 19: None}),
    "nat_quota_exceeded_name": (466, 4, {1: "Maximum session entries", 2: "Maximum BIB entries", 6: None, 257: None}),
    "nat_threshold_name": (467, 4, {1: "Address pool high threshold event", 2: "Address pool low threshold event"}),
    "nat_originating_realm_name": (229, 1, {0: None, 1: "Private", 2: "Public", 3: None}),
    "nat_type_name": (297, 1, {1: "NAT44 translated", 5: "NAT66 translated", 255: None}),
    "firewall_event_name": (233, 1, {1: "Flow Created", 3: "Flow Denied", 5: "Flow Update", 6: None}),
    "flow_end_reason_name": (136, 1, {1: "idle timeout", 2: "active timeout", 3: "end of Flow detected", 6: None}),
    "forwarding_status_name": (89, 4, {0: "Unknown", 64: "Forwarded: Unknown", 0x12345681: "Dropped: ACL deny", 195: "Consumed: For us"}),
}


@pytest.mark.parametrize("column", ENUMERATED)
def test_names_of_numbers(column: str) -> None:
    """FF-NAT-01: by option, as RFC 8158 section 4.3 and IANA name them; what is reserved or unassigned has the number only."""
    element, length, names = ENUMERATED[column]
    records = b"".join(value.to_bytes(length, "big") for value in names)
    message = ipfix(define(Field(element, length)), a_set(256, records))
    assert [row.get(column) for row in flows(message, columns=["proto", column]).rows] == list(names.values())
    assert column not in flows(message).rows[0]


def test_delays_are_exact() -> None:
    """FF-PS-05: digest and time of a packet seen at two points: integers of 64 bits and nanoseconds, never floats."""
    fields = (Field(326, 8), Field(325, 8))
    records = [struct.pack(">QII", 2**63 + 1, EXPORT_S + 2_208_988_800, fraction) for fraction in (2**32 * 3 // 10**9 + 1, 2**31)]
    first, second = wire(ipfix(define(*fields), a_set(256, *records))).rows
    assert first["digestHashValue"] == second["digestHashValue"] == 2**63 + 1
    assert second["observationTimeNanoseconds"] - first["observationTimeNanoseconds"] == 500_000_000 - 3


def test_reverse_elements() -> None:
    """FF-BI-01: enterprise 29305: the element's own type, with `reverse` before its name."""
    fields = [Field(element, length, 29305) for element, length in ((1, 4), (8, 4), (152, 8), (434, 2), (82, VARIABLE))]
    record = struct.pack(">I4sQh", 77, b"\xc0\0\2\1", EXPORT_S * 1000, -3) + variable(b"eth0")
    assert wire(ipfix(define(*fields), a_set(256, record))).rows == [
        {
            "reverseOctetDeltaCount": 77, "reverseSourceIPv4Address": "192.0.2.1", "reverseFlowStartMilliseconds": EXPORT_S * 10**9,
            "reverseMibObjectValueInteger": -3, "reverseInterfaceName": "eth0",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("direction", range(4))
def test_biflow_directions(direction: int) -> None:
    """FF-BI-03: arbitrary, initiator, reverse initiator, perimeter: of the record, as it was sent."""
    assert one(Field(239, 1), bytes([direction]))[0] == direction


NOT_REVERSIBLE = [148, 145, 149, 137, 130, 131, *range(211, 218), 173, 40, 41, 42, *range(163, 169), 210, 239]


@pytest.mark.parametrize("element", NOT_REVERSIBLE)
def test_elements_without_a_reverse(element: int) -> None:
    """FF-BI-02: RFC 5103 section 6.1: octets, and counted."""
    value, stats = one(Field(element, 4, 29305), b"abcd")
    assert (value, stats["warnings"]["unknown_element"]) == (b"abcd", 1)


def test_counters_that_are_repeated_have_no_direction() -> None:
    """FF-BI-06: neither repeated elements nor neighbouring records are taken for the two directions of a flow."""
    record = struct.pack(">QQ", 100, 200)
    (row,) = flows(ipfix(define(Field(1, 8), Field(1, 8)), a_set(256, record))).rows
    assert (row["bytes"], row.get("reverse_bytes")) == (100, None)


def test_a_value_that_is_none_is_null() -> None:
    """FF-RB-05: the record and its other fields stay."""
    message = ipfix(define(Field(276, 1), Field(82, 2), Field(4, 1)), a_set(256, b"\7\xff\xff\6"))
    decoded = wire(message)
    assert (decoded.rows, counted(decoded.stats)) == ([{"protocolIdentifier": 6}], {})
