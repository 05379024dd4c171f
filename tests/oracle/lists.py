"""Structured data (RFC 6313): lists as `wire` shows them, and their single values."""

import struct
from collections.abc import Iterator
from typing import Any

from . import values
from .structure import VARIABLE, Element, Fault, Field, Message, Record, find_template, read_record, variable

KINDS = ("basicList", "subTemplateList", "subTemplateMultiList")
ENTERPRISE_BIT = 0x8000


def decode(octets: bytes, kind: str, message: Message) -> dict[str, Any]:
    """What a list shows; only its octets if it can not be read."""
    try:
        return _basic(octets, message) if kind == "basicList" else _records_of(octets, kind, message)
    except (Fault, struct.error):
        return {"octets": octets}


def _basic(octets: bytes, message: Message) -> dict[str, Any]:
    field, items = _items(octets)
    name, kind = values.describe(field, message.version)
    return {"semantic": octets[0], name: [values.decode_field(item, kind, field.length == VARIABLE, message) for item in items]}


def _items(octets: bytes) -> tuple[Field, list[bytes]]:
    _, number, length = struct.unpack_from(">BHH", octets)
    at, pen = 5, 0
    if number & ENTERPRISE_BIT:
        pen, at = struct.unpack_from(">I", octets, 5)[0], 9
    items = []
    while at < len(octets):
        start, size = variable(octets, at) if length == VARIABLE else (at, length)
        at = start + size
        if at > len(octets) or (not size and length != VARIABLE):
            raise Fault("list")
        items.append(octets[start:at])
    return Field(Element(pen, number & ~ENTERPRISE_BIT), length), items


def _blocks(octets: bytes, kind: str, message: Message) -> Iterator[tuple[int, list[Record]]]:
    if not octets:
        raise Fault("list")
    if kind == "subTemplateList":
        yield _block(struct.unpack_from(">H", octets, 1)[0], octets[3:], message)
        return
    at = 1
    while at < len(octets):
        template_id, length = struct.unpack_from(">HH", octets, at)
        if length < 4 or at + length > len(octets):
            raise Fault("list")
        yield _block(template_id, octets[at + 4 : at + length], message)
        at += length


def _block(template_id: int, body: bytes, message: Message) -> tuple[int, list[Record]]:
    found = find_template(message.known, message.datagram.source_port, template_id)
    if found is None:
        raise Fault("list")
    records, at = [], 0
    while at < len(body):  # a list has no padding
        read, at = read_record(found[0], body, at)
        records.append(Record(template_id, found[0], read, message))
    return template_id, records


def _records_of(octets: bytes, kind: str, message: Message) -> dict[str, Any]:
    blocks = [
        {"template_id": template_id, "records": [values.wire(record) for record in records]}
        for template_id, records in _blocks(octets, kind, message)
    ]
    return {"semantic": octets[0], **blocks[0]} if kind == "subTemplateList" else {"semantic": octets[0], "blocks": blocks}


def single_values(octets: bytes, kind: str, message: Message) -> Iterator[tuple[Field, bytes]]:
    """Every value in a list and the lists in it."""
    try:
        if kind == "basicList":
            field, items = _items(octets)
            found = [(field, item) for item in items]
        else:
            records = [record for _, block in _blocks(octets, kind, message) for record in block]
            found = [(field, record.values[field.element]) for record in records for field in record.template.fields]
    except (Fault, struct.error):
        return
    for field, value in found:
        inner = values.describe(field, message.version)[1]
        if inner in KINDS:
            yield from single_values(value, inner, message)
        else:
            yield field, value
