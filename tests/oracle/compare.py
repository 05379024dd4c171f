"""What an oracle and the structural parser see differently in a capture."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import flows, octets, tshark, values
from .golden import Expected
from .sflow import Sample
from .structure import Message, Record

TABLE = Path(__file__).with_name("disagreements.csv")
TIMES = {"start_ns": range(150, 160, 2), "end_ns": range(151, 160, 2)}
# absolute times: what relative ones they come from, and under which name `flows` has them
RELATIVE = {
    "flowStartMilliseconds": ("flowStartSysUpTime", "time_flow_start"), "flowEndMilliseconds": ("flowEndSysUpTime", "time_flow_end"),
}  # fmt: skip

# tshark shows the bits of dateTimeMicroseconds that are to be ignored (RFC 7011 section 6.1.9).
MICROSECOND_NS = 1000
# sflowtool prints loads with three places
PRINTED = 0.001


@dataclass(frozen=True)
class Difference:
    """`column`: `records` (per frame), an element's number, or `start_ns`, `end_ns`; `octets`: the field in the datagram."""

    column: str
    frame: int
    theirs: Any
    ours: Any
    octets: bytes


def with_tshark(messages: Iterable[Message], packets: list) -> list[Difference]:
    """Record by record, element by element, in wire order. Data that waited for its template is not compared: tshark cannot know it."""
    theirs = tshark.records(packets)
    found = []
    for message in messages:
        seen, frame = theirs.pop(message.datagram.frame, []), message.datagram.frame
        if len(seen) != len(message.records):
            found.append(Difference("records", frame, len(seen), len(message.records), b""))
            continue
        for record, dissected in zip(message.records, seen, strict=True):
            found += _of_record(frame, record, dissected)
    found += [Difference("records", frame, len(seen), 0, b"") for frame, seen in theirs.items() if seen]
    return found


def _of_record(frame: int, record: Record, dissected: dict[Any, Any]) -> list[Difference]:
    ours = values.elements(record, lists=False)  # tshark shows those as trees of their own
    compared = {key for key in ours if key in tshark.COMPARED or key in (21, 22, *TIMES)} | dissected.keys() - {"template"}
    found = []
    for key in sorted(compared, key=str):
        mine, their = ours.get(key), dissected.get(key)
        if key in TIMES and None not in (mine, their) and any(abs(mine - time) < MICROSECOND_NS for time in their):
            continue
        if mine != their:
            found.append(Difference(str(key), frame, their, mine, _octets(record, key)))
    return found


def _octets(record: Record, key: int | str) -> bytes:
    numbers = TIMES.get(key, (key,))
    return next((octets for element, octets in record.values.items() if element.id in numbers and not element.pen), b"")


def with_octets(messages: Iterable[Message], seen: dict[int, list[list[bytes]]]) -> list[Difference]:
    """Record by record, the octets of every field, where tshark has as many records; under `pen:element` what differs first."""
    found = []
    for message in messages:
        fields = seen.get(message.datagram.frame, [])
        if len(fields) != len(message.records):
            continue  # `with_tshark` tells
        for record, shown in zip(message.records, fields, strict=True):
            if differing := octets.first_difference(record, shown):
                element, theirs, ours = differing
                found.append(Difference(f"octets {element.pen}:{element.id}", message.datagram.frame, theirs.hex(), ours.hex(), ours))
    return found


def with_golden(records: list[Record], expected: Expected) -> list[Difference]:
    """Every value that both have, of each record that is shown; what only we have is not told."""
    found = []
    if expected.count not in (None, len(records)):
        found.append(Difference("records", 1, expected.count, len(records), b""))
    if len(records) < (expected.count or 0):
        return found
    for index, row in expected.rows.items():
        record = records[index]
        ours, fields = _with_times(record), values.octets(record)
        for column, theirs in row.items():
            sent = fields.get(column) or fields.get(RELATIVE.get(column, ("",))[0], b"")
            if not _equal(theirs, ours.get(column)) and theirs not in _readings(ours.get(column), sent):
                found.append(Difference(column, record.message.datagram.frame, _shown(theirs), _shown(ours.get(column)), sent))
    return found


def _readings(ours: Any, sent: bytes) -> tuple[Any, ...]:
    """What else a field may be shown as: its octets, and where we know no type for it, their number or text."""
    return (sent, int.from_bytes(ours), ours.rstrip(b"\0").decode("latin-1")) if isinstance(ours, bytes) else (sent,)


def _with_times(record: Record) -> dict[str, Any]:
    """The values of a record; of times that are relative to the exporter's start the absolute ones, too."""
    ours = values.wire(record)
    if record.message.version <= values.NETFLOW9:
        times = flows.row(values.elements(record), record.message)
        for column, (_, time) in RELATIVE.items():
            if times[time] is not None:
                ours.setdefault(column, times[time] * 1000)
    return ours


def with_samples(samples: Iterable[Sample], rows: dict[tuple, list[dict[str, Any]]]) -> list[Difference]:
    """sFlow: sample by sample, every column that the oracle has. `rows` of `wire` by `Sample.key`, in wire order; a record of which a row
    has nothing at all is one difference.
    """
    found = []
    shown: Counter[tuple] = Counter()
    for sample in samples:
        same = rows.get(sample.key, [])
        if shown[sample.key] >= len(same):
            found.append(Difference("samples", sample.frame, sample.key, None, b""))
            continue
        row = same[shown[sample.key]]
        shown[sample.key] += 1
        for record in sample.records:
            if record and row.keys().isdisjoint(record):
                found.append(Difference("records", sample.frame, " ".join(record), None, b""))
            else:
                found += [
                    Difference(column, sample.frame, _shown(value), _shown(row.get(column)), b"")
                    for column, value in record.items()
                    if not _equal(value, row.get(column))
                ]
    missing = [key for key, same in rows.items() for _ in range(len(same) - shown[key])]
    return found + [Difference("samples", key[0], None, f"sequence {key[2]}", b"") for key in missing]


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, str) and not value.isprintable() else value


def _equal(theirs: Any, ours: Any) -> bool:
    if isinstance(theirs, float) and isinstance(ours, float):
        return abs(theirs - ours) < PRINTED
    return theirs == ours


def table() -> dict[tuple[str, str], list[dict[str, str]]]:
    """The known disagreements, by (capture, oracle)."""
    with TABLE.open() as file:
        rows: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in csv.DictReader(file):
            rows.setdefault((row["capture"], row["oracle"]), []).append(row)
        return rows


def nfdump_sums(records: Iterable[Record]) -> dict[str, int]:
    """What nfdump's totals should be: flows, and octets and packets of both directions."""
    flows = [_numbers(record) for record in records]
    # the first that is there; then that of the other direction
    octets = ([(0, 1), (0, 85), (0, 231)], [(values.REVERSE_PEN, 1), (values.REVERSE_PEN, 85), (0, 23), (0, 232)])
    packets = ([(0, 2), (0, 86), (0, 298)], [(values.REVERSE_PEN, 2), (values.REVERSE_PEN, 86), (0, 24), (0, 299)])
    return {
        "flows": len(flows),
        "octets": sum(_first(flow, names) for flow in flows for names in octets),
        "packets": sum(_first(flow, names) for flow in flows for names in packets),
    }


def _numbers(record: Record) -> dict[tuple[int, int], int]:
    return {(e.pen, e.id): int.from_bytes(octets) for e, octets in reversed(record.values.items()) if not e.scope}


def _first(flow: dict[tuple[int, int], int], names: list[tuple[int, int]]) -> int:
    return next((flow[name] for name in names if name in flow), 0)


def sum_of(records: Iterable[Record], element: int) -> int:
    """Over the first IANA element of this number in each record."""
    return sum(_first(_numbers(record), [(0, element)]) for record in records)
