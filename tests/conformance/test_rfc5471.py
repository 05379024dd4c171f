"""The collector tests of RFC 5471, one to one, over UDP; what RFC 7011 changed since is as RFC 7011 says (spec 2.14).

Over sockets, from processes that are killed, and in excess: `test_live.py` (3.1, 3.5.2, 3.5.5), `rust/flowfast-decode/tests/bounds.rs`
(3.5.1, 3.5.3, 3.5.4). TCP, SCTP, TLS and DTLS (the rest of 3.1, 3.7): flowfast collects over plain UDP only.
"""

import socket
import struct
from pathlib import Path

import pyarrow as pa
import pytest
from decoding import counted, decode, plain, plain_address, session, wire
from test_types import NAMES, TYPES

from flowfast import _core
from oracle.exporter import EXPORT_S, VARIABLE, Field, a_set, ipfix, options_template, options_templates, template, templates, variable

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
OCTETS = Field(1, 8)
DOMAIN, PROCESS = Field(149, 4), Field(143, 4)
TEXT = Field(82, VARIABLE)
ONE = templates(template(256, OCTETS))


def number(value: int) -> bytes:
    return value.to_bytes(8)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_3_1_connectivity(address: str) -> None:
    """FF-TR-11: IPv4 and IPv6, each on a socket of its own and both on the dual-stack one."""
    for bound in (address, "::"):
        collector = _core.Collector([(bound, 0, 1, "any")], schema="wire", batch_age_ms=10)
        collector.start()
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as exporter:
            exporter.sendto(ipfix(ONE, a_set(256, number(7))), (address, collector.listeners()[0]["port"]))
            batch = collector.next_event(10)
        collector.close()
        (row,) = plain(batch)
        assert (plain_address(row["_exporter"]), row["octetDeltaCount"]) == (address, 7)


def test_3_2_1_every_type() -> None:
    """FF-DT-03: a template with one element of each abstract data type."""
    fields = [Field(element, length) for element, (_, length, _, _) in TYPES.items()]
    record = b"".join(octets for _, _, _, octets in TYPES.values())
    (row,) = wire(ipfix(templates(template(256, *fields)), a_set(256, record, record[:-1]))).rows
    assert row == {NAMES[element]: value for element, (_, _, value, _) in TYPES.items()}


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ((TEXT,), (variable(b"eth0"),)),
        ((TEXT, OCTETS), (variable(b"eth0"), number(5))),
        ((OCTETS, TEXT), (number(5), variable(b"eth0"))),
        (
            (TEXT, OCTETS, Field(83, VARIABLE), Field(4, 1), TEXT),
            (variable(b"eth0"), number(5), variable(b"x" * 300), b"\6", variable(b"")),
        ),
    ],
)
def test_3_2_2_variable_length(fields: tuple[Field, ...], parts: tuple[bytes, ...]) -> None:
    """FF-DT-05: alone, before and behind fixed ones, and several."""
    values = {
        1: ("octetDeltaCount", 5),
        4: ("protocolIdentifier", 6),
        82: ("interfaceName", "eth0"),
        83: ("interfaceDescription", "x" * 300),
    }
    expected = dict(values[field.id] for field in fields)
    if len(fields) == 5:
        expected["interfaceName_2"] = ""
    rows = wire(ipfix(templates(template(256, *fields)), a_set(256, *parts, *parts, *parts))).rows
    assert rows == [expected] * 3


def test_3_2_3_padding_between_sets() -> None:
    """FF-IX-08."""
    sets = (a_set(256, number(1), padding=bytes(4)), a_set(256, number(2), padding=bytes(4)))
    assert [row["octetDeltaCount"] for row in wire(ipfix(ONE, *sets)).rows] == [1, 2]


@pytest.mark.parametrize(
    ("fields", "record", "records"),
    [
        ((Field(4, 1), Field(210, 3)), b"\6\0\0\0", 5),
        ((Field(4, 1), Field(210, 6)), b"\6" + bytes(6), 5),
        ((Field(4, 1), Field(5, 1), Field(210, 5)), b"\6\0" + bytes(5), 3),
        ((Field(8, 4), OCTETS, Field(210, 2)), bytes(12) + b"\0\0", 4),
        ((TEXT, Field(210, VARIABLE)), variable(b"eth0") + variable(bytes(3)), 4),
        ((TEXT, Field(210, VARIABLE)), variable(b"ethernet0") + variable(b""), 1),
    ],
)
def test_3_2_4_padding_octets(fields: tuple[Field, ...], record: bytes, records: int) -> None:
    """FF-IX-10: records of four octets, of other multiples, of twelve and two, and of a string and what fills it up."""
    decoded = wire(ipfix(templates(template(256, *fields)), a_set(256, *[record] * records)))
    assert len(decoded.rows) == records
    assert not any("padding" in name for row in decoded.rows for name in row)


@pytest.mark.parametrize("withdrawn", [(256,), (256, 256), (999,), (2,)], ids=["3.2.5.1", "3.2.5.2", "3.2.5.3", "3.2.5.4"])
def test_3_2_5_withdrawals(withdrawn: tuple[int, ...]) -> None:
    """FF-TL-04: RFC 5471 would forget the template, or close the session; over UDP RFC 7011 section 8.4 ignores what comes."""
    withdrawals = [ipfix(templates(template(template_id)), sequence=1) for template_id in withdrawn]
    decoded = wire(ipfix(ONE, a_set(256, number(1))), *withdrawals, ipfix(a_set(256, number(2)), sequence=1))
    assert [row["octetDeltaCount"] for row in decoded.rows] == [1, 2]
    assert decoded.stats["warnings"]["withdrawal_ignored"] == len(withdrawn)


def test_3_2_5_5_all_options_templates() -> None:
    """FF-TL-04."""
    options = options_templates(options_template(300, 1, DOMAIN, Field(41, 4)))
    decoded = wire(ipfix(options), ipfix(options_templates(template(3))), ipfix(a_set(300, bytes(8))))
    assert (len(decoded.options), decoded.stats["warnings"]["withdrawal_ignored"]) == (1, 1)


def test_3_3_1_enterprise_elements() -> None:
    """FF-IX-17: known ones by name, unknown ones by number; neither is lost."""
    fields = (Field(1, 4, 29305), Field(7, 4, 64000), OCTETS)
    (row,) = wire(ipfix(templates(template(256, *fields)), a_set(256, struct.pack(">I4sQ", 3, b"abcd", 5)))).rows
    assert row == {"reverseOctetDeltaCount": 3, "e64000_i7": b"abcd", "octetDeltaCount": 5}


def test_3_3_2_reduced_size() -> None:
    """FF-DT-03: octetDeltaCount in one to eight octets is one column of one type."""
    kinds, rows = set(), []
    for length in range(1, 9):
        decoder = _core.Decoder(schema="wire")
        decoder.decode(ipfix(templates(template(256, Field(1, length))), a_set(256, b"\xff" * length)), "192.0.2.1")
        (batch,) = decoder.flush()
        kinds.add(pa.record_batch(batch).schema.field("octetDeltaCount").type)
        rows += [row["octetDeltaCount"] for row in plain(batch)]
    assert (kinds, rows) == ({pa.uint64()}, [256**length - 1 for length in range(1, 9)])


@pytest.mark.parametrize("order", [(8, 8, 1), (8, 1, 8)], ids=["consecutive", "separated"])
def test_3_3_3_multiple_instances(order: tuple[int, ...]) -> None:
    """FF-IX-16: all values, in the order of the template."""
    octets = iter([b"\x0a\0\0\1", b"\x0a\0\0\2"])
    record = b"".join(next(octets) if element == 8 else b"\0\0\0\7" for element in order)
    (row,) = wire(ipfix(templates(template(256, *(Field(element, 4) for element in order))), a_set(256, record))).rows
    assert row == {"sourceIPv4Address": "10.0.0.1", "sourceIPv4Address_2": "10.0.0.2", "octetDeltaCount": 7}


@pytest.mark.parametrize("scope", [Field(149, 4), Field(32000, 4), Field(5, 4, 64000), Field(145, 2), Field(8, 4)])
def test_3_4_1_any_scope(scope: Field) -> None:
    """FF-IX-18: registered, unregistered, enterprise."""
    message = ipfix(options_templates(options_template(300, 1, scope, Field(41, 4))), a_set(300, bytes(scope.length) + b"\0\0\0\7"))
    assert [row["exportedMessageTotalCount"] for row in wire(message).options] == [7]


def test_3_4_1_no_scope() -> None:
    """FF-IX-13: discarded, and counted."""
    decoded = wire(ipfix(options_templates(options_template(300, 0, DOMAIN, Field(41, 4))), a_set(300, bytes(8))))
    assert (decoded.options, counted(decoded.stats)) == ([], {"scope_count": 1})


def test_3_4_2_multiple_scopes() -> None:
    """FF-IX-18: in their order."""
    message = ipfix(options_templates(options_template(300, 3, PROCESS, DOMAIN, Field(10, 4), Field(41, 4))), a_set(300, bytes(16)))
    (row,) = wire(message).options
    assert list(row) == ["meteringProcessId", "observationDomainId", "ingressInterface", "exportedMessageTotalCount"]


TIMES = (Field(322, 4), Field(322, 4))
STATISTICS = {
    "3.4.3": ((41, 8), (42, 8), (40, 8)),
    "3.4.4": ((164, 8), (165, 8)),
    "3.4.5": ((166, 8), (167, 8), (168, 8)),
}
STATISTICS_NAMES = {
    41: "exportedMessageTotalCount", 42: "exportedFlowRecordTotalCount", 40: "exportedOctetTotalCount", 164: "ignoredPacketTotalCount",
    165: "ignoredOctetTotalCount", 166: "notSentFlowTotalCount", 167: "notSentPacketTotalCount", 168: "notSentOctetTotalCount",
}  # fmt: skip


@pytest.mark.parametrize("section", STATISTICS)
@pytest.mark.parametrize("with_process", [False, True])
def test_3_4_3_to_3_4_5_statistics(section: str, with_process: bool) -> None:
    """FF-OT-01: metering process statistics and reliability, exporting process reliability, with and without a process as scope."""
    scopes = (DOMAIN, PROCESS) if with_process else (DOMAIN,)
    if section == "3.4.5":
        scopes = (Field(144, 4), *scopes[1:])
    fields = [Field(*each) for each in STATISTICS[section]]
    times = TIMES if section != "3.4.3" else ()
    record = bytes(3) + b"\1" + (bytes(3) + b"\2") * with_process
    record += b"".join(number(1000 + field.id) for field in fields) + struct.pack(">I", EXPORT_S) * len(times)
    message = ipfix(options_templates(options_template(300, len(scopes), *scopes, *fields, *times)), a_set(300, record))
    (row,) = wire(message).options
    assert {name: row[name] for name in (STATISTICS_NAMES[field.id] for field in fields)} == {
        STATISTICS_NAMES[field.id]: 1000 + field.id for field in fields
    }
    assert row.get("meteringProcessId") == (2 if with_process else None)
    if times:
        assert row["observationTimeSeconds"] == row["observationTimeSeconds_2"] == EXPORT_S * 10**9


@pytest.mark.parametrize("indicator", [0b1, 0b10, 0b1111111])
def test_3_4_6_flow_keys(indicator: int) -> None:
    """Of a template with two fields: the indicator is a column of the options table, right or wrong; the session goes on."""
    keys = options_templates(options_template(300, 1, Field(145, 2), Field(173, 8)))
    for described in (256, 999):
        decoded = wire(ipfix(ONE, keys, a_set(300, described.to_bytes(2) + number(indicator)), a_set(256, number(1))))
        assert decoded.options == [{"templateId": described, "flowKeyIndicator": indicator}]
        assert decoded.rows == [{"octetDeltaCount": 1}]


def test_3_6_1_a_gap() -> None:
    """FF-SQ-04: what was lost on the way is counted, and decoding goes on."""
    decoded = wire(ipfix(ONE, a_set(256, number(1))), ipfix(a_set(256, number(2)), sequence=11))
    assert ([row["octetDeltaCount"] for row in decoded.rows], decoded.stats["sequence_lost_records"]) == ([1, 2], 10)


def test_3_6_2_an_exporter_that_starts_again() -> None:
    """FF-Q-06, FF-TL-09: from another port, with its sequence from zero and a template of its own."""
    first = session(ipfix(ONE, a_set(256, number(1)), sequence=5_000_000), port=1000)
    again = session(
        ipfix(templates(template(256, Field(2, 8))), a_set(256, number(2))), ipfix(a_set(256, number(3)), sequence=1), port=2000
    )
    decoded = decode([*first, *again], "wire")
    assert [(row.get("octetDeltaCount"), row.get("packetDeltaCount")) for row in decoded.rows] == [(1, None), (None, 2), (None, 3)]
    assert decoded.stats["sequence_lost_records"] == 0


def test_3_6_3_a_collector_that_starts_again() -> None:
    """FF-V9-07, FF-IX-20: it decodes what comes once the templates have come again; data that came before them waits a while."""
    running = ipfix(a_set(256, number(1)), sequence=100), ipfix(ONE, sequence=101), ipfix(a_set(256, number(2)), sequence=101)
    assert [row["octetDeltaCount"] for row in wire(*running).rows] == [1, 2]
    late = decode(session(*running, every_s=60), "wire")
    assert [row["octetDeltaCount"] for row in late.rows] == [2]


MALFORMED = {"a": "message_length", "b": "template_overrun", "c": "set_overrun", "d": "message_length", "e": None}


@pytest.mark.parametrize("figure", MALFORMED)
def test_3_6_4_wrong_lengths(figure: str) -> None:
    """FF-IX-03, FF-IX-04: the RFC's own octets; the last is longer than it says, and accepted."""
    octets = bytes.fromhex((VECTORS / f"rfc5471_364_{figure}.hex").read_text().split()[0])
    reason = MALFORMED[figure]
    decoded = wire(octets)
    assert (decoded.rows, counted(decoded.stats)) == ([], {reason: 1} if reason else {})


@pytest.mark.parametrize("length", range(16))
def test_3_6_5_messages_that_are_too_short(length: int) -> None:
    """FF-IX-03."""
    assert counted(wire(ipfix(ONE)[:length]).stats) == {"header_truncated": 1}


def test_3_6_5_an_illegal_variable_length() -> None:
    """FF-IX-03: one octet beyond the set."""
    message = ipfix(templates(template(256, TEXT)), a_set(256, variable(b"eth0"), b"\5eth0"))
    assert (wire(message).rows, counted(wire(message).stats)) == ([], {"variable_overrun": 1})


def test_3_6_5_an_illegal_reduced_size() -> None:
    """FF-DT-02: an address of three octets is no address: RFC 5471 discards the message; flowfast does if told to, or keeps the octets."""
    message = ipfix(ONE, a_set(256, number(1)), templates(template(257, Field(8, 3))), a_set(257, b"abc"))
    kept = wire(message)
    assert (kept.rows[1:], kept.stats["warnings"]["illegal_field_length"]) == ([{"sourceIPv4Address": b"abc"}], 1)
    discarded = wire(message, strict_lengths=True)
    assert (discarded.rows, counted(discarded.stats)) == ([], {"field_length": 1})


def test_3_6_6_data_that_does_not_match() -> None:
    """FF-IX-09: too few octets are padding; too many, but fewer than a record, too; a whole record more cannot be told from data."""
    for octets, records in [(7, 0), (8, 1), (15, 1), (16, 2)]:
        assert len(wire(ipfix(ONE, a_set(256, bytes(octets)))).rows) == records


def test_3_6_7_unknown_sets() -> None:
    """FF-IX-05: skipped and counted; the rest is decoded."""
    decoded = wire(ipfix(ONE, *[a_set(set_id, bytes(5)) for set_id in range(4, 256)], a_set(256, number(1))))
    assert (decoded.rows, decoded.stats["warnings"]["unknown_set"]) == ([{"octetDeltaCount": 1}], 252)


def test_3_6_8_1_the_same_template_again() -> None:
    """FF-TL-08: no fault; RFC 5471 would reset the session."""
    decoded = wire(ipfix(ONE, a_set(256, number(1))), ipfix(ONE, a_set(256, number(2)), sequence=1))
    assert [row["octetDeltaCount"] for row in decoded.rows] == [1, 2]
    assert sum(decoded.stats["warnings"].values()) == 0


def test_3_6_8_2_a_changed_template() -> None:
    """FF-TL-09: the new one is used, and it is counted; data without a template waits, and is dropped in the end."""
    changed = ipfix(templates(template(256, Field(2, 8))), a_set(256, number(2)), sequence=1)
    decoded = wire(ipfix(ONE, a_set(256, number(1))), changed, ipfix(a_set(257, number(3)), sequence=2))
    assert decoded.rows == [{"octetDeltaCount": 1}, {"packetDeltaCount": 2}]
    assert (decoded.stats["warnings"]["template_redefined"], decoded.stats["sets_waiting"]) == (1, 1)


@pytest.mark.parametrize(("after_s", "records", "expired"), [(1, 2, 0), (1801, 1, 1)])
def test_3_6_8_3_lifetime(after_s: int, records: int, expired: int) -> None:
    """FF-TL-10: data within the template's lifetime is decoded, later data dropped and counted; a new template is taken at once."""
    messages = ipfix(ONE), ipfix(a_set(256, number(1)), sequence=0), ipfix(ONE, a_set(256, number(2)), sequence=1)
    decoded = decode(session(*messages, every_s=after_s), "wire")
    assert (len(decoded.rows), decoded.stats["sets_discarded"]["expired_template"]) == (records, expired)
