"""Every vector of tests/vectors equals its JSON, through `wire` and, in the common columns, through `flows`.

The vectors were made without flowfast: a datagram or message a line of hex, and what must come out of it.
"""

import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from decoding import Row, decode, plain_address, without_message

from oracle import flows
from oracle.capture import Datagram
from oracle.layouts import NAMES
from oracle.structure import Walker
from oracle.values import registry

VECTORS = Path(__file__).resolve().parents[1] / "vectors"

# Which counter a malformed vector must raise, by the fault that its note describes.
FAULTS = {
    "v5_truncated": "count_exceeds_length",
    "ipfix_options_scope0": "scope_count",
    "ipfix_set_len_zero": "set_length",
    "ipfix_varlen_overrun": "variable_overrun",
    "rfc5471_364_a": "message_length",
    "rfc5471_364_b": "template_overrun",
    "rfc5471_364_c": "set_overrun",
    "rfc5471_364_d": "message_length",
}
# Fields that carry nothing and are no columns
UNUSED = {"pad", "reserved"}
# The JSON files show some values in a unit of their own.
SUFFIXES = {"_us": 1000, "_ns": 1}


def named() -> list[str]:
    return [path.stem for path in sorted(VECTORS.glob("*.json")) if "sflow" not in path.stem]


UNKNOWN = re.compile(r"e(\d+)_i(\d+)")
FIXED_V7_FLAGS = "flags1"
# 1700000000 seconds less an uptime of an hour: the header of all v9 vectors
V9_BOOT_MS = 1_700_000_000_000 - 3_600_000


def load(name: str) -> tuple[dict[str, Any], list[Datagram]]:
    lines = (VECTORS / f"{name}.hex").read_text().split()
    stream = [Datagram(n, 1_700_000_000 * 10**9 + n, "192.0.2.100", 4739, 4739, bytes.fromhex(line)) for n, line in enumerate(lines, 1)]
    return json.loads((VECTORS / f"{name}.json").read_text()), stream


@pytest.mark.parametrize("name", named())
def test_wire(name: str) -> None:
    vector, stream = load(name)
    decoded = decode(stream, "wire")
    if vector.get("result") == "malformed":
        assert decoded.rows == decoded.options == []
        assert decoded.stats["datagrams_discarded"][FAULTS[name]] == len(stream)
        assert sum(decoded.stats["datagrams_discarded"].values()) == len(stream)
        return
    assert sum(decoded.stats["datagrams_discarded"].values()) == 0
    records = vector.get("udp", vector).get("records", [])
    assert_rows([without_message(row) for row in decoded.rows], [wire_row(record, vector) for record in records], name)
    if name == "ipfix_type_info":  # its JSON shows only what the options data is for
        assert [row["informationElementName"] for row in decoded.options] == ["acmeWidgetId"]
    else:
        options = [wire_row(record, vector) for record in vector.get("options", [])]
        assert [without_message(row) for row in decoded.options] == options
    assert_counters(decoded.stats, vector)


def assert_rows(rows: list[Row], expected: list[Row], name: str) -> None:
    """Row by row. `v5_first_wraps` shows two columns of its record; the v9 vectors leave out what is zero, and times but absolute ones."""
    assert len(rows) == len(expected)
    if name == "v5_first_wraps":
        rows = [{column: row[column] for column in shown} for row, shown in zip(rows, expected, strict=True)]
    if name.startswith("v9_"):
        rows = [{column: value for column, value in row.items() if value not in (0, "0.0.0.0")} for row in rows]
        for row in rows:
            uptimes = [row.pop(f"flow{edge}SysUpTime", None) for edge in ("Start", "End")]
            absolute = [row.get(f"flow{edge}Milliseconds") for edge in ("Start", "End")]
            assert uptimes == [None if time is None else time // 10**6 - V9_BOOT_MS for time in absolute]
    assert rows == expected


def assert_counters(stats: dict[str, Any], vector: dict[str, Any]) -> None:
    if "skipped_sets" in vector:
        assert stats["warnings"]["unknown_set"] == vector["skipped_sets"]
    if ignored := vector.get("udp", {}).get("ignored_withdrawals"):
        assert stats["warnings"]["withdrawal_ignored"] == ignored
    if templates := vector.get("templates"):
        assert stats["templates_received"] == len(templates)


def wire_row(record: dict[str, Any], vector: dict[str, Any]) -> Row:
    """A JSON record as the `wire` schema shows it."""
    row: Row = {}
    for name, value in record.items():
        if (name in UNUSED and not (vector.get("version") == 7 and name == "pad")) or name in ("scope", "sampling_rate"):
            continue
        column, scale = name, 1
        if name.endswith("List"):
            row[name] = wire_list(value)
            continue
        if name in NAMES:
            column = registry()[0, NAMES[name]][0]
        elif vector.get("version") == 7 and name == "pad":
            column = FIXED_V7_FLAGS  # which fields are invalid
        elif name == "flowStartDeltaMicroseconds_abs_us":
            column, value = "flowStartDeltaMicroseconds", vector_delta_us(vector, value)  # noqa: PLW2901
        else:
            for suffix, unit in SUFFIXES.items():
                if name.endswith(suffix):
                    column, scale = name.removesuffix(suffix), unit
        if (found := UNKNOWN.fullmatch(column)) and (key := (int(found[1]), int(found[2]))) in registry():
            column = registry()[key][0]  # unknown to the vector's author, not to the registry
        for number, one in enumerate(value if isinstance(value, list) else [value], 1):
            row[column if number == 1 else f"{column}_{number}"] = typed(column, one, scale)
    return row


def wire_list(value: dict[str, Any]) -> Row:
    """A JSON list (RFC 6313) as the `wire` schema shows it: a basicList's values by the name of their element."""
    row = {"semantic": value["semantic"]}
    if "element" in value:
        row[registry()[tuple(value["element"])][0]] = value["values"]
    elif "blocks" in value:
        row["blocks"] = [{"template_id": block["template"], "records": block["rows"]} for block in value["blocks"]]
    else:
        row |= {"template_id": value["template"], "records": value["rows"]}
    return row


def vector_delta_us(vector: dict[str, Any], absolute_us: int) -> int:
    """`wire` shows what was sent: microseconds before the export time."""
    message = bytes.fromhex((VECTORS / f"{vector['name']}.hex").read_text().split()[0])
    return struct.unpack_from(">I", message, 4)[0] * 10**6 - absolute_us


def typed(column: str, value: Any, scale: int) -> Any:
    """JSON has no octets and no times."""
    kind = {name: kind for (pen, _), (name, kind) in registry().items() if not pen}.get(column, "")
    if column.startswith(("e999_", "ingressAclId")):
        return bytes.fromhex(value)
    if kind.startswith("dateTime"):
        return value * {"dateTimeSeconds": 10**9, "dateTimeMilliseconds": 10**6}.get(kind, scale)
    return value


@pytest.mark.parametrize("name", named())
def test_flows(name: str) -> None:
    """The common columns are those that the JSON's values give."""
    vector, stream = load(name)
    decoded = decode(stream, "flows")
    if vector.get("result") == "malformed":
        assert decoded.rows == []
        return
    records = vector.get("udp", vector).get("records", [])
    assert len(decoded.rows) == len(records)
    message = next(iter(Walker().walk(stream)))
    for row, record in zip(decoded.rows, records, strict=True):
        shown = flows.row(json_elements(record), message)
        times = {f"time_flow_{edge}": time_us(record, f"flow{edge.title()}") for edge in ("start", "end")}
        for column, value in {**shown, **times}.items():
            if value is not None:
                assert plain_address(row.get(column)) == value, column
        if "sampling_rate" in record:
            assert row["sampling_rate"] == record["sampling_rate"]


def time_us(record: dict[str, Any], edge: str) -> int | None:
    """The finest of the times that the record has."""
    units_ns = {"Nanoseconds_ns": 1, "Microseconds_us": 10**3, "Milliseconds": 10**6, "Seconds": 10**9}
    return next((record[edge + name] * unit // 1000 for name, unit in units_ns.items() if edge + name in record), None)


def json_elements(record: dict[str, Any]) -> dict[Any, Any]:
    """Element numbers of a JSON record's first occurrences."""
    numbers = {name: number for (pen, number), (name, _) in registry().items() if not pen} | NAMES
    return {numbers[name]: value[0] if isinstance(value, list) else value for name, value in record.items() if name in numbers}


def test_v5_sampling() -> None:
    # FF-SMP-02, FF-NF-08: the header's interval.
    vector, stream = load("v5")
    rows = decode(stream, "flows").rows
    assert {(row["sampling_rate"], row["sampling_source"]) for row in rows} == {(vector["sampling"]["interval"], "header")}


def test_sampler_by_its_options() -> None:
    # FF-SMP-02: samplerId 2 is 1 in 1000, samplerId 3 is 1 in 100; the records name 2.
    _, stream = load("v9_options_sampler")
    assert {row["sampling_source"] for row in decode(stream, "flows").rows} == {"options"}


def test_scope_order_and_names() -> None:
    # FF-IX-18, FF-V9-11: the scopes of an options record come first.
    _, stream = load("ipfix_options_flowkeys")
    (row,) = decode(stream, "wire").options
    assert next(iter(without_message(row))) == "templateId"
    _, stream = load("v9_options_sampler")
    assert {next(iter(without_message(row))) for row in decode(stream, "wire").options} == {"scope_system"}


def test_data_before_its_template() -> None:
    # FF-V9-07: not lost, and counted as long as it waits.
    _, stream = load("v9_data_before_template")
    early = decode(stream[:1], "flows")
    assert (len(early.rows), early.stats["sets_waiting"], early.stats["set_octets_waiting"]) == (0, 1, 120)  # octets of records and padding
    both = decode(stream, "flows")
    assert (len(both.rows), both.stats["sets_waiting"], both.stats["sets_recovered"]) == (3, 0, 1)


def test_next_sequence() -> None:
    """A datagram that continues where the vector ends is no loss, one that skips seven a loss of seven (FF-NF-03, FF-V9-04, FF-SQ-01)."""
    places = {
        "v5": (16, "records"),
        "v7": (16, "records"),
        "v8_01": (16, "records"),
        "v9_template_data": (12, "packets"),
        "ipfix_basic": (8, "records"),
    }
    for name, (offset, unit) in places.items():
        vector, stream = load(name)
        for skipped in (0, 7):
            sequence = struct.pack(">I", vector["next_sequence"] + skipped)
            payload = stream[-1].payload
            again = replace(stream[-1], frame=99, payload=payload[:offset] + sequence + payload[offset + 4 :])
            stats = decode([*stream, again], "flows").stats
            assert stats[f"sequence_lost_{unit}"] == skipped, name
