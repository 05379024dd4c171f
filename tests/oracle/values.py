"""Octets of an Information Element to its value, by the abstract data types of RFC 7011 section 6.1.

Values are plain: integers, floats, booleans, text, octets; addresses and MAC addresses as text; times as nanoseconds
since the UNIX epoch. `None` where the octets say nothing legal.
"""

import csv
import ipaddress
import re
import struct
from functools import cache
from pathlib import Path
from typing import Any

from . import lists
from .structure import NETFLOW9, VARIABLE, Element, Field, Message, Record, Template

REGISTRY = Path(__file__).resolve().parents[2] / "registry"
REVERSE_PEN = 29305
PADDING = 210
NTP_EPOCH = 2208988800  # seconds from 1900 to 1970
MAX_INTEGER_OCTETS = 8
# RFC 5103 section 6.1: elements without a reverse
NOT_REVERSIBLE = {*range(40, 43), 130, 131, 137, 145, 148, 149, *range(163, 169), 173, *range(210, 218), 239}
# v9 field types that no registry names (Cisco ASA, Palo Alto), and those that mean an IANA element
NETFLOW9_NAMES = {
    20000: "wlanId", 33000: "ingressAclId", 33001: "egressAclId", 33002: "firewallExtendedEvent",
    35001: "zoneFirewallExtendedEvent", 40000: "userName", 56701: "panwAppId", 56702: "panwUserId",
}  # fmt: skip
NETFLOW9_ALIASES = {40001: 225, 40002: 226, 40003: 227, 40004: 228, 40005: 233}
SCOPES = {1: "scope_system", 2: "scope_interface", 3: "scope_line_card", 4: "scope_cache", 5: "scope_template"}
# Octets of the fixed formats that carry nothing; v7 tells in its first pad which fields are invalid
UNUSED = {"pad", "reserved"}


@cache
def registry() -> dict[tuple[int, int], tuple[str, str]]:
    """(enterprise number, id): name and abstract data type."""
    with (REGISTRY / "elements.csv").open() as file:
        return {(int(row["pen"]), int(row["id"])): (re.sub(r"\W+", "_", row["name"]), row["dataType"]) for row in csv.DictReader(file)}


@cache
def netflow9_vendors() -> dict[int, tuple[str, str]]:
    """v9 field types that are not IANA's: name and abstract data type."""
    with (REGISTRY / "netflow9-fields.csv").open() as file:
        rows = {int(row["id"]): row for row in csv.DictReader(file) if int(row["id"]) >= 128 and not row["iana_name"]}
    return {number: (NETFLOW9_NAMES.get(number) or _camel(row["v9_name"]), row["dataType"]) for number, row in rows.items()}


def _camel(name: str) -> str:
    head, *tail = name.lower().split("_")
    return head + "".join(part.capitalize() for part in tail)


@cache
def describe(field: Field, version: int) -> tuple[str, str]:
    """Column name and abstract data type of a field."""
    element, length = field
    pen, number = element.pen, element.id
    if element.name and not number:
        return ("flags1" if element.name == "pad" else element.name), "unsigned32"
    if element.scope:
        return SCOPES.get(number, f"e0_i{number}"), _scope_type(number, length)
    if version == NETFLOW9 and number not in NETFLOW9_ALIASES and number in netflow9_vendors():
        return netflow9_vendors()[number]
    if version == NETFLOW9:
        number = NETFLOW9_ALIASES.get(number, number)
    if pen == REVERSE_PEN and number not in NOT_REVERSIBLE and (0, number) in registry():
        name, kind = registry()[0, number]
        return f"reverse{name[0].upper()}{name[1:]}", kind
    return registry().get((pen, number), (f"e{pen}_i{number}", "octetArray"))


def _scope_type(number: int, length: int) -> str:
    """v9 scopes have no type: a System of four octets is an address, other short ones are numbers (RFC 3954 section 6.1)."""
    if number == 1:
        return "ipv4Address" if length == 4 else "octetArray"
    return "unsigned32" if number in SCOPES and length <= MAX_INTEGER_OCTETS else "octetArray"


def wire(record: Record) -> dict[str, Any]:
    """What the `wire` schema should show of a record: column name and value. Padding and fields without octets are no columns."""
    version = record.message.version
    columns = _columns(record.template, version)
    return {
        name: decode_field(record.values[f.element], describe(f, version)[1], f.length == VARIABLE, record.message) for f, name in columns
    }


def octets(record: Record) -> dict[str, bytes]:
    """The octets under each column of `wire`."""
    return {name: record.values[f.element] for f, name in _columns(record.template, record.message.version)}


def decode_field(octets: bytes, kind: str, variable: bool, message: Message) -> Any:
    """As `decode`, of lists too; of those in records, nulls are left out."""
    return lists.decode(octets, kind, message) if kind in lists.KINDS else decode(octets, kind, variable)


@cache
def _columns(template: Template, version: int) -> list[tuple[Field, str]]:
    shown = [field for field in template.fields if not _is_unused(field, version)]
    names: dict[Element, str] = {}
    for field in sorted(shown, key=lambda field: (not field.element.scope, field.element)):
        name = describe(field, version)[0]
        if field.element.occurrence == 1 and name in names.values():  # two elements of one name: the second by its number
            name = f"e{field.element.pen}_i{field.element.id}"
        names[field.element] = name if field.element.occurrence == 1 else f"{name}_{field.element.occurrence}"
    return [(field, names[field.element]) for field in shown]


def _is_unused(field: Field, version: int) -> bool:
    element, length = field
    if element.name:
        return element.name in UNUSED and not (version == 7 and element.name == "pad")
    return length == 0 or (element.pen, element.id, element.scope) == (0, PADDING, False)


def decode(octets: bytes, kind: str, variable: bool = False) -> Any:  # noqa: PLR0911 - one line a type
    """The value of one field. Strings of a fixed length end at their first NUL; octets of an illegal length stay octets."""
    if kind.startswith(("unsigned", "signed")):
        return _integer(octets, kind)
    match kind:
        case "ipv4Address":
            return str(ipaddress.IPv4Address(octets)) if len(octets) == 4 else octets
        case "ipv6Address":
            return str(ipaddress.IPv6Address(octets)) if len(octets) == 16 else octets
        case "ipAddress":
            return str(ipaddress.ip_address(octets)) if len(octets) in (4, 16) else octets
        case "macAddress":
            return octets.hex(":") if len(octets) == 6 else octets
        case "string":
            return (octets if variable else octets.split(b"\0")[0]).decode("utf-8", "replace")
        case "float32" | "float64":
            return struct.unpack({4: ">f", 8: ">d"}[len(octets)], octets)[0] if len(octets) in (4, 8) else octets
        case "boolean":
            return {1: True, 2: False}.get(octets[0]) if len(octets) == 1 else octets
        case "dateTimeSeconds":
            return int.from_bytes(octets) * 10**9 if len(octets) == 4 else octets
        case "dateTimeMilliseconds":
            return int.from_bytes(octets) * 10**6 if len(octets) == 8 else octets
        case "dateTimeMicroseconds" | "dateTimeNanoseconds":
            return ntp_ns(octets, microseconds=kind == "dateTimeMicroseconds") if len(octets) == 8 else octets
        case _:
            return octets


def _integer(octets: bytes, kind: str) -> Any:
    """Reduced (RFC 7011 section 6.2) or longer than the type: a number all the same, up to 64 bits."""
    if kind == "unsigned256":
        return octets.rjust(32, b"\0")
    if not octets:
        return None
    return int.from_bytes(octets, signed=kind.startswith("signed")) if len(octets) <= MAX_INTEGER_OCTETS else octets


def ntp_ns(octets: bytes, microseconds: bool) -> int:
    """RFC 7011 sections 6.1.9 and 6.1.10.

    Of microseconds the low 11 bits of the fraction are ignored; the nearest microsecond is then the one that was sent,
    where rounding down would give the one before it (a microsecond is 4294.97 fractions, of which up to 2047 are ignored).
    """
    seconds, fraction = struct.unpack(">II", octets)
    seconds += 0 if seconds >= NTP_EPOCH else 1 << 32  # era 1 from 2036
    if microseconds:
        return ((seconds - NTP_EPOCH) * 10**6 + (((fraction & ~0x7FF) * 10**6 + (1 << 31)) >> 32)) * 1000
    return (seconds - NTP_EPOCH) * 10**9 + (fraction * 10**9 >> 32)


def elements(record: Record, *, lists: bool = True) -> dict[Any, Any]:
    """First occurrences of IANA elements by number, in `lists` too where no field has them; under `start_ns` and `end_ns` the finest
    absolute time.
    """
    found: dict[Any, Any] = {}
    version = record.message.version
    for field in record.template.fields:
        element, octets = field.element, record.values[field.element]
        if element.scope or element.pen or not element.id or not octets:
            continue
        number = NETFLOW9_ALIASES.get(element.id, element.id) if version == NETFLOW9 else element.id
        found.setdefault(number, decode(octets, describe(field, version)[1]))
    if lists:
        found = _from_lists(record) | found
    if 139 in found:  # tshark shows the combined element as the two single ones
        found |= {178: found[139] >> 8, 179: found[139] & 0xFF} | found
    for key, finest, delta in (("start_ns", 156, 158), ("end_ns", 157, 159)):
        times = [found[number] for number in range(finest, 149, -2) if isinstance(found.get(number), int)]
        if delta in found:  # FF-DT-07: microseconds before the message
            times.append(record.message.time_ms * 10**6 - found[delta] * 1000)
        if times:
            found[key] = times[0]
    return found


def _from_lists(record: Record) -> dict[Any, Any]:
    """IANA elements that the lists of a record hold once, but for times and label stacks."""
    held: dict[int, list[Any]] = {}
    for field in record.template.fields:
        if (kind := describe(field, record.message.version)[1]) in lists.KINDS:
            for inner, octets in lists.single_values(record.values[field.element], kind, record.message):
                if not inner.element.pen:
                    held.setdefault(inner.element.id, []).append(decode(octets, describe(inner, record.message.version)[1]))
    return {number: found[0] for number, found in held.items() if len(found) == 1 and registry()[0, number][1][:8] != "dateTime"}


def boot_ms(message: Message) -> int:
    """When the exporter started (NetFlow): what its 21 and 22 count from."""
    return message.time_ms - message.uptime_ms


def uptime_to_ms(value: int, message: Message) -> int:
    """A sysUpTime of a record as milliseconds since the epoch; one far ahead of the header's belongs to the uptime before its wrap."""
    if value > message.uptime_ms + 100_000:
        value -= 1 << 32  # FF-NF-07
    return boot_ms(message) + value
