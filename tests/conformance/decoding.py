"""flowfast's rows as plain values: what `oracle.values` and `oracle.flows` have on the other side."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from flowfast import _core
from oracle.capture import Datagram
from oracle.exporter import EXPORT_S

UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
Row = dict[str, Any]


@dataclass(frozen=True)
class Decoded:
    """`rows` of `flows` or data tables in the order of each table, `options` of options tables, and the counters at the end."""

    rows: list[Row]
    options: list[Row]
    stats: dict[str, Any]


def decode(
    datagrams: Iterable[Datagram],
    schema: str,
    *,
    columns: Sequence[str] = ("standard",),
    strict_lengths: bool = False,
    lenient: bool = False,
    flush_every: int = 0,
) -> Decoded:
    """Give the datagrams to a `Decoder`, with their own receive times."""
    decoder = _core.Decoder(schema=schema, columns=columns, strict_lengths=strict_lengths, lenient=lenient)
    batches = []
    for number, datagram in enumerate(datagrams, 1):
        decoder.decode(datagram.payload, datagram.source, datagram.source_port, local_port=datagram.port, time_received_ns=datagram.time_ns)
        if flush_every and number % flush_every == 0:
            batches += decoder.flush()
    batches += decoder.flush()
    rows = [row for batch in batches if batch.kind != "options" for row in plain(batch)]
    options = [row for batch in batches if batch.kind == "options" for row in plain(batch)]
    return Decoded(rows, options, decoder.stats())


def plain(batch: Any) -> list[Row]:
    """Rows of a batch: addresses as text, times as nanoseconds (`flows`: microseconds) since the epoch, nulls left out."""
    table = pa.record_batch(batch)
    columns = [_column(field, table.column(index)) for index, field in enumerate(table.schema)]
    names = table.schema.names
    return [{name: value for name, value in zip(names, values, strict=True) if value is not None} for values in zip(*columns, strict=True)]


def _column(field: pa.Field, column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(field.type):
        unit = 1 if field.name.startswith("time_") else UNIT_NS[field.type.unit]
        return [None if value is None else value * unit for value in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_struct(field.type):
        return [None if column[row].as_py() is None else _structure(field, column[row]) for row in range(len(column))]
    values = column.to_pylist()
    semantic = (field.metadata or {}).get(b"flowfast.semantic")
    if semantic == b"ip":
        return [None if value is None else address(value) for value in values]
    if semantic == b"mac" and pa.types.is_fixed_size_binary(field.type):
        return [None if value is None else value.hex(":") for value in values]
    return values


def _structure(field: pa.Field, value: pa.StructScalar) -> Row:
    """A struct without its nulls, and lists in it, by the rules of `plain`."""
    shown = {}
    for child in field.type:
        one = value[child.name]
        if not one.is_valid:
            continue
        if pa.types.is_list(child.type):
            shown[child.name] = _column(child.type.value_field, one.values)
        else:
            (shown[child.name],) = _column(child, pa.array([one.as_py()], child.type))
    return shown


def address(octets: bytes) -> str:
    """Text of 4 or 16 octets."""
    return str(ipaddress.ip_address(octets))


def plain_address(value: Any) -> Any:
    """IPv4 out of ::ffff:a.b.c.d, which is how `flows` has it; anything else as it is."""
    try:
        mapped = ipaddress.IPv6Address(value).ipv4_mapped if isinstance(value, str) else None
    except ipaddress.AddressValueError:
        mapped = None
    return str(mapped) if mapped else value


def without_message(row: Row) -> Row:
    """A `wire` row without the columns that come from the message (`_exporter`, `_time`, ...)."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def counted(stats: dict[str, Any]) -> dict[str, int]:
    """`datagrams_discarded` by label, only what was counted."""
    return {label: count for label, count in stats["datagrams_discarded"].items() if count}


def session(*payloads: bytes, port: int = 50000, every_s: float = 1) -> list[Datagram]:
    """Datagrams of one exporter, one after the other, from the time at which the messages of `oracle.exporter` were sent."""
    start_ns = EXPORT_S * 10**9
    step_ns = round(every_s * 10**9)
    return [Datagram(n + 1, start_ns + n * step_ns, "192.0.2.1", port, 4739, payload) for n, payload in enumerate(payloads)]


def wire(*payloads: bytes, **options: Any) -> Decoded:
    """Rows of one exporter's datagrams, without what the messages say of themselves."""
    decoded = decode(session(*payloads), "wire", **options)
    return replace(decoded, rows=[*map(without_message, decoded.rows)], options=[*map(without_message, decoded.options)])


def flows(*payloads: bytes, **options: Any) -> Decoded:
    """The same as `flows` rows."""
    return decode(session(*payloads), "flows", **options)
