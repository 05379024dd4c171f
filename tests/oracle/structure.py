"""A second, independent reader of NetFlow v1-v9 and IPFIX: datagrams to records of raw octets, nothing interpreted.

The arbiter of the conformance tests. Where tshark, nfdump and flowfast disagree, the octets that this walk finds decide.
It knows the formats (RFC 3954, RFC 7011 and `layouts.py`) and the collector's policy for UDP: strict messages (RFC 7011
section 9.1), withdrawals ignored (section 8.4), data sets that wait for their template.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from . import layouts
from .capture import Datagram

VARIABLE = 65535
NETFLOW9 = 9
# How long data waits for its template (FF-V9-07), and how long a template lives that is not refreshed (FF-V9-06, FF-TL-10).
WAITING_NS = 30 * 10**9
LIFETIME_NS = 1800 * 10**9


class Fault(Exception):
    """The message is malformed; the first argument is flowfast's name for it."""


class Element(NamedTuple):
    """Which field of a record: `scope` for v9 scope types, `occurrence` from 1 for repeated elements, `name` in the fixed formats."""

    pen: int
    id: int
    occurrence: int = 1
    scope: bool = False
    name: str = ""


class Field(NamedTuple):
    element: Element
    length: int


@dataclass(frozen=True)
class Template:
    fields: tuple[Field, ...]
    scope_count: int = 0
    is_options: bool = False

    @property
    def shortest(self) -> int:
        return sum(1 if f.length == VARIABLE else f.length for f in self.fields)


# A template and when it was last seen
Known = tuple[Template, int]


@dataclass(frozen=True)
class Record:
    template_id: int
    template: Template
    values: dict[Element, bytes]
    message: "Message" = field(repr=False)


@dataclass
class Message:
    """What one datagram held. `fault` set: a strict collector delivers nothing of it."""

    datagram: Datagram
    version: int = 0
    domain: int = 0
    method: int = 0
    sequence: int = 0
    uptime_ms: int = 0
    time_ms: int = 0
    count: int = 0
    sampling: int = 0
    fault: str = ""
    records: list[Record] = field(default_factory=list)
    known: dict[tuple, Known] = field(default_factory=dict, repr=False)  # templates when it had been read
    templates: int = 0
    options_templates: int = 0
    withdrawals: int = 0
    unknown_sets: int = 0
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    expired: list[tuple[int, bytes]] = field(default_factory=list)  # waited too long
    outdated: list[tuple[int, bytes]] = field(default_factory=list)  # their template was too old
    recovered: list[Record] = field(default_factory=list)  # of this message, when its template came with a later one
    recovered_sets: int = 0
    brought_back: list[Record] = field(default_factory=list)  # of earlier messages, by this one's templates


class Walker:
    """Walks datagrams in order; templates live per Transport Session and Observation Domain.

    A session without the template borrows it from the other sessions of its address, if those agree.
    `lenient`: of a malformed message, keep the sets before the fault.
    """

    def __init__(self, lenient: bool = False) -> None:
        self._lenient = lenient
        self._sessions: dict[tuple, dict[tuple, Known]] = {}  # (version, address, domain): (port, template id)
        self._waiting: dict[tuple, list[tuple[Message, int, bytes]]] = {}

    def walk(self, stream: Iterable[Datagram]) -> Iterator[Message]:
        """One `Message` per datagram. Exhaust it before looking at `waiting` and `recovered`."""
        for datagram in stream:
            message = Message(datagram)
            try:
                self._read(message, datagram.payload)
            except Fault as fault:
                message.fault = fault.args[0]
            yield message

    def _read(self, message: Message, octets: bytes) -> None:
        if len(octets) < 16:
            raise Fault("header_truncated")
        message.version, message.count = struct.unpack_from(">HH", octets)
        match message.version:
            case 1 | 5 | 6 | 7 | 8:
                _read_fixed(message, octets)
            case 9:
                if len(octets) < 20:
                    raise Fault("header_truncated")
                message.uptime_ms, seconds, message.sequence, message.domain = struct.unpack_from(">IIII", octets, 4)
                message.time_ms = seconds * 1000
                self._read_sets(message, octets[20:])
            case 10:
                seconds, message.sequence, message.domain = struct.unpack_from(">III", octets, 4)
                message.time_ms = seconds * 1000
                if not 16 <= message.count <= len(octets):  # this word is the message length
                    raise Fault("message_length")
                self._read_sets(message, octets[16 : message.count])
            case _:
                raise Fault("unknown_version")

    def _read_sets(self, message: Message, octets: bytes) -> None:
        key = (message.version, message.datagram.source, message.domain)
        port, now_ns = message.datagram.source_port, message.datagram.time_ns
        templates, learned = dict(self._sessions.get(key, {})), set()
        records, waiting, outdated = [], [], []
        try:
            for set_id, body in _sets(message, octets):
                if set_id < 256:
                    for template_id, template in _templates(message, set_id, body):
                        templates[port, template_id] = template, now_ns
                        learned.add(template_id)
                elif not (found := find_template(templates, port, set_id)):
                    waiting.append((message, set_id, body))
                elif now_ns - found[1] > LIFETIME_NS:
                    outdated.append((set_id, body))
                else:
                    records += _records(message, set_id, found[0], body)
        except Fault:
            if not self._lenient:
                raise
            message.fault = "malformed_tail"
        message.records, message.outdated = records, outdated
        message.known = templates
        message.waiting += [(set_id, body) for _, set_id, body in waiting]
        self._sessions[key] = templates
        self._waiting.setdefault(key, []).extend(waiting)
        message.brought_back = self._recover(key, templates, learned, now_ns)

    def _recover(self, key: tuple, templates: dict[tuple, Known], learned: set[int], now_ns: int) -> list[Record]:
        """Data that came before its template (RFC 3954 section 9, RFC 7011 section 9)."""
        still, brought_back = [], []
        for message, set_id, body in self._waiting[key]:
            found = find_template(templates, message.datagram.source_port, set_id) if set_id in learned else None
            if now_ns - message.datagram.time_ns > WAITING_NS:
                message.expired.append((set_id, body))
            elif found:
                records = _records(message, set_id, found[0], body)
                message.recovered += records
                brought_back += records
                message.recovered_sets += 1
            else:
                still.append((message, set_id, body))
                continue
            message.waiting.remove((set_id, body))
        self._waiting[key] = still
        return brought_back


def find_template(templates: dict[tuple, Known], port: int, template_id: int) -> Known | None:
    if own := templates.get((port, template_id)):
        return own
    others = {known for (_, other), known in templates.items() if other == template_id}
    return max(others, key=lambda known: known[1]) if len({template for template, _ in others}) == 1 else None


def _sets(message: Message, octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        if message.version == NETFLOW9 and not any(octets):
            return  # packets of real exporters (Cisco ACI) end in zeros; RFC 3954 makes no fault of it
        if len(octets) < 4:
            raise Fault("set_overrun")
        set_id, length = struct.unpack_from(">HH", octets)
        if length < 4:
            raise Fault("set_length")
        if length > len(octets):
            raise Fault("set_overrun")
        yield set_id, octets[4:length]
        octets = octets[length:]


def _templates(message: Message, set_id: int, body: bytes) -> list[tuple[int, Template]]:
    """Of a set below 256; sets that are no template sets are skipped (RFC 7011 section 3.3.2)."""
    first, read = (0, _netflow9_templates) if message.version == NETFLOW9 else (2, _ipfix_templates)
    if set_id not in (first, first + 1):
        message.unknown_sets += 1
        return []
    return list(read(message, body, set_id == first + 1))


def _read_fixed(message: Message, octets: bytes) -> None:
    message.uptime_ms, seconds, nanoseconds = struct.unpack_from(">III", octets, 4)
    message.time_ms = seconds * 1000 + nanoseconds // 10**6
    if message.version != 1:
        if len(octets) < 24:
            raise Fault("header_truncated")
        message.sequence, message.domain, word = struct.unpack_from(">IHH", octets, 16)
        if message.version == 8:
            message.method = word >> 8
            if (8, message.method) not in layouts.LAYOUTS or word & 0xFF not in (0, 2):
                raise Fault("unsupported")
        elif message.version == 5:
            message.sampling = word
    header = layouts.LAYOUTS[message.version, message.method][0]
    names = layouts.fields(message.version, message.method)
    template = Template(tuple(Field(Element(0, layouts.NAMES.get(n, 0), name=n), length) for n, length in names))
    size = sum(length for _, length in names)
    if len(octets) < header:
        raise Fault("header_truncated")
    if message.count == 0:
        raise Fault("count_zero")
    if message.count * size > len(octets) - header:
        raise Fault("count_exceeds_length")
    message.records += _records(message, 0, template, octets[header : header + message.count * size])


def _records(message: Message, template_id: int, template: Template, body: bytes) -> list[Record]:
    found, offset = [], 0
    while template.shortest and len(body) - offset >= template.shortest:
        values, offset = read_record(template, body, offset)
        found.append(Record(template_id, template, values, message))
    return found


def read_record(template: Template, body: bytes, offset: int) -> tuple[dict[Element, bytes], int]:
    """The octets of each field of the record at `offset`, and where it ends."""
    values = {}
    for element, announced in template.fields:
        offset, length = variable(body, offset) if announced == VARIABLE else (offset, announced)
        if offset + length > len(body):
            raise Fault("variable_overrun")
        values[element] = body[offset : offset + length]
        offset += length
    return values, offset


def variable(body: bytes, offset: int) -> tuple[int, int]:
    """RFC 7011 section 7: one octet, or 255 and two."""
    if offset < len(body) and body[offset] < 255:
        return offset + 1, body[offset]
    if offset + 3 > len(body):
        raise Fault("variable_overrun")
    return offset + 3, struct.unpack_from(">H", body, offset + 1)[0]


def _netflow9_templates(message: Message, body: bytes, is_options: bool) -> Iterator[tuple[int, Template]]:
    while len(body) >= 4 and (template_id := struct.unpack_from(">H", body)[0]):  # id 0: padding
        if template_id < 256:
            raise Fault("template_id")
        if is_options:
            if len(body) < 6:
                raise Fault("template_overrun")
            scopes, options = (octets // 4 for octets in struct.unpack_from(">HH", body, 2))
        else:
            scopes, options = 0, struct.unpack_from(">H", body, 2)[0]
        start = 6 if is_options else 4
        end = start + 4 * (scopes + options)
        if end > len(body):
            raise Fault("template_overrun")
        specifiers = [(0, *struct.unpack_from(">HH", body, at)) for at in range(start, end, 4)]
        template = _template(specifiers, scopes, is_options, netflow9_scopes=True)
        _count(message, is_options)
        if template.shortest:
            yield template_id, template
        body = body[end:]


def _ipfix_templates(message: Message, body: bytes, is_options: bool) -> Iterator[tuple[int, Template]]:
    offset = 0
    while len(body) - offset >= 4:
        template_id, count = struct.unpack_from(">HH", body, offset)
        offset += 4
        if template_id < 256 and (template_id, count) != (3 if is_options else 2, 0):  # of these, withdrawals of all
            raise Fault("template_id")
        if count == 0:
            message.withdrawals += 1
            continue
        scopes = 0
        if is_options:
            if offset + 2 > len(body):
                raise Fault("template_overrun")
            scopes = struct.unpack_from(">H", body, offset)[0]
            offset += 2
            if not 0 < scopes <= count:
                raise Fault("scope_count")
        specifiers = []
        for _ in range(count):
            if offset + 4 > len(body):
                raise Fault("template_overrun")
            element, length = struct.unpack_from(">HH", body, offset)
            offset, pen = offset + 4, 0
            if element & 0x8000:
                if offset + 4 > len(body):
                    raise Fault("template_overrun")
                pen = struct.unpack_from(">I", body, offset)[0]
                offset += 4
            specifiers.append((pen, element & 0x7FFF, length))
        template = _template(specifiers, scopes, is_options)
        _count(message, is_options)
        if template.shortest:
            yield template_id, template


def _template(specifiers: list[tuple[int, int, int]], scopes: int, is_options: bool, netflow9_scopes: bool = False) -> Template:
    seen: dict[tuple, int] = {}
    found = []
    for index, (pen, element, length) in enumerate(specifiers):
        scope = netflow9_scopes and index < scopes
        occurrence = seen[pen, element, scope] = seen.get((pen, element, scope), 0) + 1
        found.append(Field(Element(pen, element, occurrence, scope), length))
    return Template(tuple(found), scopes, is_options)


def _count(message: Message, is_options: bool) -> None:
    if is_options:
        message.options_templates += 1
    else:
        message.templates += 1
