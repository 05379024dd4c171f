"""An exporter: NetFlow v5, v9, IPFIX and sFlow v5 written octet by octet from the standards, and by nothing of flowfast.

Values are those that `oracle.values` reads. Every function gives octets; a message is made of sets, a set of records.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Any

VARIABLE = 65535
# 14 November 2023, 22:13:20 UTC; the NetFlow exporters of the tests have been up for an hour by then.
EXPORT_S = 1_700_000_000
UPTIME_MS = 3_600_000
BOOT_MS = EXPORT_S * 1000 - UPTIME_MS
NTP_EPOCH_S = 2_208_988_800


@dataclass(frozen=True)
class Field:
    """A Field Specifier (RFC 7011 section 3.2): `pen` 0 is IANA's registry."""

    id: int
    length: int
    pen: int = 0

    @property
    def octets(self) -> bytes:
        if not self.pen:
            return struct.pack(">HH", self.id, self.length)
        return struct.pack(">HHI", self.id | 0x8000, self.length, self.pen)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 1, export_s: int = EXPORT_S) -> bytes:
    """RFC 7011 section 3.1."""
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), export_s % 2**32, sequence, domain) + body


def netflow9(
    *sets: bytes, count: int = 1, sequence: int = 0, source: int = 1, uptime_ms: int = UPTIME_MS, export_s: int = EXPORT_S
) -> bytes:
    """RFC 3954 section 5.1."""
    return struct.pack(">HHIIII", 9, count, uptime_ms, export_s, sequence, source) + b"".join(sets)


def a_set(set_id: int, *records: bytes, padding: bytes = b"") -> bytes:
    """RFC 7011 section 3.3, RFC 3954 section 5.2: its length counts header and padding."""
    body = b"".join(records) + padding
    return struct.pack(">HH", set_id, 4 + len(body)) + body


def template(template_id: int, *fields: Field) -> bytes:
    """A template record of either format; without fields, IPFIX's withdrawal (RFC 7011 sections 3.4.1, 8.1)."""
    return struct.pack(">HH", template_id, len(fields)) + b"".join(field.octets for field in fields)


def options_template(template_id: int, scopes: int, *fields: Field) -> bytes:
    """RFC 7011 section 3.4.2.2: the first `scopes` fields are the scope."""
    return struct.pack(">HHH", template_id, len(fields), scopes) + b"".join(field.octets for field in fields)


def options_template9(template_id: int, scopes: int, *fields: Field) -> bytes:
    """RFC 3954 section 6.1: lengths in octets of specifiers."""
    return struct.pack(">HHH", template_id, 4 * scopes, 4 * (len(fields) - scopes)) + b"".join(field.octets for field in fields)


def templates(*records: bytes, version: int = 10, padding: bytes = b"") -> bytes:
    """A template set: id 2 in IPFIX, 0 in v9."""
    return a_set(2 if version == 10 else 0, *records, padding=padding)


def options_templates(*records: bytes, version: int = 10, padding: bytes = b"") -> bytes:
    """An options template set: id 3 in IPFIX, 1 in v9."""
    return a_set(3 if version == 10 else 1, *records, padding=padding)


def variable(octets: bytes, *, long: bool = False) -> bytes:
    """RFC 7011 section 7: one octet of length below 255, or 255 and two."""
    if long or len(octets) > 254:
        return struct.pack(">BH", 255, len(octets)) + octets
    return struct.pack(">B", len(octets)) + octets


def encode(kind: str, value: Any, length: int) -> bytes:  # noqa: PLR0911 - one line a type
    """A value of an abstract data type (RFC 7011 section 6.1) in so many octets."""
    match kind:
        case "boolean":
            return b"\1" if value else b"\2"
        case "float32" | "float64":
            return struct.pack({4: ">f", 8: ">d"}[length], value)
        case "string":
            return value.encode().ljust(0 if length == VARIABLE else length, b"\0")
        case "ipv4Address" | "ipv6Address":
            return ipaddress.ip_address(value).packed
        case "macAddress":
            return bytes.fromhex(value.replace(":", ""))
        case "dateTimeMicroseconds" | "dateTimeNanoseconds":
            return ntp(value)
        case "dateTimeSeconds" | "dateTimeMilliseconds":
            return (value // {4: 10**9, 8: 10**6}[length]).to_bytes(length)
        case "octetArray":
            return value
        case _:
            return value.to_bytes(length, signed=kind.startswith("signed"))


def ntp(time_ns: int) -> bytes:
    """RFC 7011 section 6.1.10: seconds since 1900 and a fraction, rounded up so that rounding down gives the time back."""
    seconds, rest_ns = divmod(time_ns, 10**9)
    return struct.pack(">II", (seconds + NTP_EPOCH_S) % 2**32, -(-(rest_ns << 32) // 10**9))


V5_RECORD = ">4s4s4sHHIIIIHHBBBBHHBBH"


@dataclass(frozen=True)
class Flow:
    """A flow that NetFlow v5 can carry; `first` and `last` in milliseconds of the exporter's uptime."""

    source: str = "192.0.2.1"
    destination: str = "198.51.100.2"
    next_hop: str = "203.0.113.3"
    input: int = 1
    output: int = 2
    packets: int = 10
    octets: int = 1000
    first: int = UPTIME_MS - 2000
    last: int = UPTIME_MS - 1000
    source_port: int = 1025
    destination_port: int = 80
    flags: int = 0x1B
    protocol: int = 6
    tos: int = 0
    source_as: int = 64500
    destination_as: int = 64501
    source_mask: int = 24
    destination_mask: int = 16

    @property
    def values(self) -> dict[int, Any]:
        """By Information Element (spec 2.1.4)."""
        return {
            8: self.source, 12: self.destination, 15: self.next_hop, 10: self.input, 14: self.output, 2: self.packets,
            1: self.octets, 22: self.first, 21: self.last, 7: self.source_port, 11: self.destination_port, 6: self.flags,
            4: self.protocol, 5: self.tos, 16: self.source_as, 17: self.destination_as, 9: self.source_mask, 13: self.destination_mask,
        }  # fmt: skip

    @property
    def v5(self) -> bytes:
        """Spec 2.1.3: 48 octets."""
        packed = (ipaddress.ip_address(address).packed for address in (self.source, self.destination, self.next_hop))
        numbers = (self.input, self.output, self.packets, self.octets, self.first, self.last, self.source_port, self.destination_port)
        small = (0, self.flags, self.protocol, self.tos, self.source_as, self.destination_as, self.source_mask, self.destination_mask, 0)
        return struct.pack(V5_RECORD, *packed, *numbers, *small)


def netflow5(
    *records: bytes, count: int | None = None, sequence: int = 0, engine: int = 0, sampling: int = 0, uptime_ms: int = UPTIME_MS
) -> bytes:
    """Spec 2.1.1: 24 octets of header; `sampling`: two bits of mode, fourteen of interval."""
    number = len(records) if count is None else count
    return struct.pack(">HHIIIIHH", 5, number, uptime_ms, EXPORT_S, 0, sequence, engine, sampling) + b"".join(records)


def netflow1(*records: bytes) -> bytes:
    """Spec 2.1.1: 16 octets of header."""
    return struct.pack(">HHIII", 1, len(records), UPTIME_MS, EXPORT_S, 0) + b"".join(records)


def opaque(octets: bytes) -> bytes:
    """XDR (RFC 4506 section 4.10): length, octets, zeros up to a multiple of four."""
    return struct.pack(">I", len(octets)) + octets + bytes(-len(octets) % 4)


def sflow5(*samples: bytes, agent: str = "192.0.2.9", sub_agent: int = 0, sequence: int = 1, count: int | None = None) -> bytes:
    """Spec 2.15.1."""
    address = ipaddress.ip_address(agent)
    kind = struct.pack(">I", 1 if address.version == 4 else 2)
    number = len(samples) if count is None else count
    return struct.pack(">I", 5) + kind + address.packed + struct.pack(">IIII", sub_agent, sequence, UPTIME_MS, number) + b"".join(samples)


def tagged(tag: int, body: bytes) -> bytes:
    """A sample or a record: its format and length stand before it."""
    return struct.pack(">I", tag) + opaque(body)


def flow_sample(
    *records: bytes, sequence: int = 1, source: int = 3, rate: int = 100, pool: int = 1000, drops: int = 0, ports: tuple[int, int] = (3, 4)
) -> bytes:
    """Spec 2.15.2, format 1."""
    return tagged(1, struct.pack(">8I", sequence, source, rate, pool, drops, *ports, len(records)) + b"".join(records))


def counters_sample(*records: bytes, sequence: int = 1, source: int = 3) -> bytes:
    """Spec 2.15.2, format 2."""
    return tagged(2, struct.pack(">3I", sequence, source, len(records)) + b"".join(records))


def raw_header(frame: bytes, *, protocol: int = 1, length: int | None = None, stripped: int = 4) -> bytes:
    """Spec 2.15.3, format 1: the first octets of a packet."""
    return tagged(1, struct.pack(">3I", protocol, len(frame) if length is None else length, stripped) + opaque(frame))
