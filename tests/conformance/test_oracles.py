"""The oracles against each other: tshark, nfdump and flow-tools against the structural parser, octet by octet.

flowfast has no part in this. It establishes what the captures hold; `test_captures.py` compares flowfast with that.
Where an oracle sees something else, `oracle/disagreements.csv` says what, shows the octets that decide it and who is right; a
disagreement that is not in the table, and one in the table that is gone, fail.
"""

import csv
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from disagreements import TABLE, assert_as_in_table, assert_octets_are_there

from captures import own, shared, shared_rows
from oracle import compare, flowtools, nfdump, octets, tshark, values
from oracle.capture import SHARED_CAPTURES, datagrams
from oracle.structure import Message, Walker

# tshark does not read v6, nfdump neither v6 nor v8
TSHARK_FORMATS = {"v1", "v5", "v7", "v8", "v9", "ipfix"}
NFDUMP_FORMATS = {"v1", "v5", "v7", "v9", "ipfix"}
NFDUMP_SUMS = {"flows": "nfdump_flows", "octets": "nfdump_bytes", "packets": "nfdump_packets"}


MADE = SHARED_CAPTURES / "golden" / "_oracle"


def by_flow_tools(path: Path) -> Path | None:
    """The CSV of what flow-tools exported, if it made the capture."""
    decoded = MADE.parent / "local" / f"{path.stem.removeprefix('local__')}.csv"
    return decoded if decoded.exists() else None


def decoded_by_nfdump(path: Path) -> bool:
    """Whether nfdump stored as many flows as there are records."""
    left_out = {row["column"] for row in TABLE.get((path.name, "nfdump"), [])}
    return (MADE / f"{path.name}.nfdump.json.gz").exists() and "flows" not in left_out


@cache
def walked(path: Path) -> list[Message]:
    return list(Walker().walk(datagrams(path)))


@pytest.mark.parametrize("path", shared(TSHARK_FORMATS), ids=lambda path: path.name)
def test_tshark(path: Path, shared_captures: Path) -> None:
    made = shared_captures / "golden" / "_oracle" / f"{path.name}.tshark.json.gz"
    if not made.exists() and not shutil.which("tshark"):
        pytest.skip("no decode made before, and tshark is not installed")
    assert_as_in_table(path, "tshark", compare.with_tshark(walked(path), tshark.load(made) if made.exists() else tshark.run(path)))


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("path", own(), ids=lambda path: path.name)
def test_tshark_of_own_captures(path: Path) -> None:
    assert_as_in_table(path, "tshark", compare.with_tshark(walked(path), tshark.run(path)))


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("path", [*own(), *shared({"v9", "ipfix"})], ids=lambda path: path.name)
def test_tshark_octets(path: Path) -> None:
    """Where every field begins and ends: of enterprises, of variable length, repeated, scopes."""
    messages = [message for message in walked(path) if message.version > values.NETFLOW9 - 1]
    assert_as_in_table(path, "tshark octets", compare.with_octets(messages, octets.records(path)))


@pytest.mark.parametrize("path", shared(NFDUMP_FORMATS), ids=lambda path: path.name)
def test_nfdump_of_shared_captures(path: Path, shared_captures: Path) -> None:
    """nfdump's totals, as the manifest has them."""
    manifest = shared_rows()[path.name]
    ours = compare.nfdump_sums(record for message in walked(path) for record in message.records if not record.template.is_options)
    differing = {name for name, column in NFDUMP_SUMS.items() if ours[name] != int(manifest[column] or 0)}
    known = {row["column"]: row for row in TABLE.get((path.name, "nfdump"), []) if row["column"] in NFDUMP_SUMS}
    assert differing == known.keys()
    for name, row in known.items():
        assert (int(row["theirs"]), int(row["ours"])) == (int(manifest[NFDUMP_SUMS[name]] or 0), ours[name])
        assert_octets_are_there(path, row)


@pytest.mark.parametrize("path", [*filter(by_flow_tools, shared({"v1", "v6", "v7", "v8"}))], ids=lambda path: path.name)
def test_flow_tools(path: Path) -> None:
    """The only oracle of v6, and the one that made the v8 captures."""
    decoded = by_flow_tools(path)
    assert decoded
    records = [record for message in walked(path) for record in message.records]
    rows = flowtools.rows(decoded)
    assert len(records) == len(rows)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for record, row in zip(records, rows, strict=True):
        for column, (ours, theirs) in flowtools.differences(record, row).items():
            octets = next(octets for element, octets in record.values.items() if element.name == column)
            found.setdefault(column, []).append((theirs, ours, octets.hex()))
    known = TABLE.get((path.name, "flow-tools"), [])
    expected = {(r["column"], int(r["count"]), r["theirs"], r["ours"], r["octets"]) for r in known}
    assert {(column, len(differing), *differing[0]) for column, differing in found.items()} == expected


def test_manifest(shared_captures: Path) -> None:
    """A third reader counted the records before: the same, but where a policy decides (malformed messages, old templates)."""
    for path in shared(TSHARK_FORMATS | {"v6"}):
        row, messages = shared_rows()[path.name], walked(path)
        if any(message.fault or message.outdated for message in messages):
            continue
        records = [record for message in messages for record in message.records]
        options = sum(record.template.is_options for record in records)
        counted = (len(records) - options, options, sum(m.templates for m in messages), sum(m.options_templates for m in messages))
        columns = ("data_records", "legacy_records", "options_records", "templates", "options_templates")
        data, legacy, *others = (int(row[column]) for column in columns)
        assert counted == (data + legacy, *others), path.name


@pytest.mark.parametrize("path", own(), ids=lambda path: path.name)
def test_expected_csv(path: Path) -> None:
    """`expected.csv` was written by tshark and nfdump: the structural parser counts the same."""
    with (path.parent / "expected.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["capture"] == path.name)
    messages = walked(path)
    records = [record for message in messages for record in message.records]
    flows = [record for record in records if not record.template.is_options]
    counted = {
        "datagrams": len(messages),
        "templates": sum(m.templates for m in messages),
        "options_templates": sum(m.options_templates for m in messages),
        "data_records": len(flows),
        "options_records": len(records) - len(flows),
        "octets": compare.sum_of(flows, 1),
        "packets": compare.sum_of(flows, 2),
    }
    assert counted == {name: int(row[name]) for name in counted}


@pytest.mark.parametrize("path", [path for path in shared(NFDUMP_FORMATS) if decoded_by_nfdump(path)], ids=lambda path: path.name)
def test_nfdump_flow_by_flow(path: Path) -> None:
    """Every field of nfdump's JSON, of every flow. Where nfcapd stores fewer or more than are sent, see the test above."""
    assert_as_in_table(path, "nfdump", nfdump_differences(path, nfdump.load(MADE / f"{path.name}.nfdump.json.gz")), but=set(NFDUMP_SUMS))


@pytest.mark.skipif(not shutil.which("nfcapd"), reason="nfcapd is not installed")
@pytest.mark.parametrize("path", [path for path in own() if path.name != "softflowd-v1.pcap"], ids=lambda path: path.name)
def test_nfdump_live(path: Path) -> None:
    """The project's captures, sent over loopback to nfcapd (Debian's 1.7.1), which refuses the 30 records of softflowd's v1 datagrams."""
    assert_as_in_table(path, "nfdump", nfdump_differences(path, nfdump.run(path)))


def nfdump_differences(path: Path, stored: list[dict[str, Any]]) -> list[compare.Difference]:
    return [compare.Difference(*difference) for difference in nfdump.compare(stored, walked(path))]
