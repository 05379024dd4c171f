"""sFlow captures against tshark and sflowtool: every element of every sample, in `wire` (with its counters tables) and in `flows`.

Where they differ, `oracle/disagreements.csv` says why.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from decoding import Row, decode, plain_address
from disagreements import assert_as_in_table

from captures import shared_rows
from oracle import compare, flows, goldens_sflow, nfdump, sflow, sflowtool
from oracle.capture import SHARED_CAPTURES, TESTS, Datagram, datagrams

ORACLE = SHARED_CAPTURES / "golden" / "_oracle"
# What flowfast adds of its own: a sample is of one packet, a discarded one was dropped (FF-SF-05, FF-SF-09)
COMPUTED = {"packetDeltaCount": 1, "forwardingStatus": 2 << 6}
COLUMNS = (*(column for column in flows.COLUMNS if not column.startswith("time_")), "sampling_rate")
NS_A_FRAME = 10**6


def captures() -> list[Path]:
    """The project's own and the shared ones, wrapped in packets or not."""
    shared = [SHARED_CAPTURES / row["file"] for row in shared_rows().values() if "sflow5" in row["protocols"]]
    return [*sorted((TESTS / "captures").glob("*sflow*.pcap")), *shared]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_every_element(path: Path) -> None:
    export = numbered(path)
    theirs, rows = sflow.by_tshark(export), by_flowfast(export)
    differences = compare.with_samples(theirs, rows)
    assert_as_in_table(path, "tshark", differences)
    assert_flows([sample for sample in theirs if not sample.is_counters], export, ignored={d.frame for d in differences})
    made = ORACLE / f"{path.name}.sflowtool.jsonl.gz"
    if made.exists():
        by_sflowtool = list(sflowtool.samples(made, [datagram.frame for datagram in export]))
        assert_as_in_table(path, "sflowtool", compare.with_samples(by_sflowtool, rows))
        theirs += by_sflowtool
    assert_nothing_is_ours_alone(theirs, rows)


def goldens(project: str) -> list[Any]:
    """(what a project expects of a capture, the capture)."""
    rows = shared_rows().values()
    found = ((Path(row["file"]), Path(name)) for row in rows for name in row["golden"].split(";") if "sflow" in row["protocols"])
    wanted = {(SHARED_CAPTURES / name, SHARED_CAPTURES / file) for file, name in found if project in name.parts}
    return [pytest.param(*each, id=each[0].name) for each in sorted(wanted)]


def numbered(path: Path) -> list[Datagram]:
    """The sFlow datagrams; their receive time tells the frame."""
    return [replace(d, time_ns=d.frame * NS_A_FRAME) for d in datagrams(path) if d.payload[:3] == bytes(3)]


@pytest.mark.parametrize(("file", "path"), [each for each in goldens("tcpdump") if "-nv" not in each.id])
def test_expected_by_tcpdump(file: Path, path: Path) -> None:
    assert_as_in_table(path, "tcpdump", compare.with_samples(goldens_sflow.tcpdump(file), by_flowfast(numbered(path))))


@pytest.mark.parametrize(("file", "path"), goldens("flowparser-sflow"))
def test_expected_by_flowparser(file: Path, path: Path) -> None:
    assert_as_in_table(path, "flowparser", compare.with_samples(goldens_sflow.flowparser(file), by_flowfast(numbered(path))))


@pytest.mark.parametrize(("file", "path"), [each for each in goldens("telegraf") if "expected" in each.id])
def test_expected_by_telegraf(file: Path, path: Path) -> None:
    """Each line is a sample, and none is the sample of two lines: the one with which it has most in common."""
    rows = [row for same in by_flowfast(numbered(path)).values() for row in same]
    differences = []
    for line in goldens_sflow.telegraf(file):
        row = min(rows, key=lambda row: len(line.items() - row.items()))
        rows.remove(row)
        frame = row["_received"] // NS_A_FRAME
        found = ((column, value) for column, value in line.items() if row.get(column) != value)
        differences += [compare.Difference(column, frame, value, row.get(column), b"") for column, value in found]
    assert rows == []
    assert_as_in_table(path, "telegraf sflow", differences)


def stored_by_nfdump() -> list[Path]:
    return [path for path in captures() if (ORACLE / f"{path.name}.nfdump-sf.json.gz").exists()]


@pytest.mark.parametrize("path", stored_by_nfdump(), ids=lambda path: path.name)
def test_flows_stored_by_nfdump(path: Path) -> None:
    """Every flow sample that nfdump's sfcapd stored, by each of its columns. Of ICMP it stores no type and code."""
    theirs = nfdump.of_sflow(nfdump.load(ORACLE / f"{path.name}.nfdump-sf.json.gz"))
    columns = {column for flow in theirs for column in flow}
    rows = []
    for row in decode(numbered(path), "flows", columns=["full"]).rows:
        shown = {column: plain_address(row[column]) for column in columns & row.keys() if row[column]}
        rows.append((row["time_received"] * 1000 // NS_A_FRAME, shown))
    differences = []
    exact = Counter(frozenset(row.items()) for _, row in rows) & Counter(frozenset(flow.items()) for flow in theirs)
    rows, theirs = without(rows, exact.copy(), lambda row: row[1]), without(theirs, exact.copy(), lambda flow: flow)
    for flow in theirs:
        best = min(rows, key=lambda row: len(flow.items() ^ row[1].items()))
        rows.remove(best)
        frame, row = best
        differing = sorted({column for column, _ in flow.items() ^ row.items()})
        differences += [compare.Difference(column, frame, flow.get(column), row.get(column), b"") for column in differing]
    differences += [compare.Difference("flows", frame, None, row["packets_scaled"], b"") for frame, row in rows]
    assert_as_in_table(path, "nfdump", differences)


def without(items: list[Any], some: Counter[frozenset[Any]], row_of: Callable[[Any], Row]) -> list[Any]:
    """Those that are left when so many of each are gone."""
    left = []
    for item in items:
        key = frozenset(row_of(item).items())
        if some[key] > 0:
            some[key] -= 1
        else:
            left.append(item)
    return left


def by_flowfast(export: list[Datagram]) -> dict[tuple, list[Row]]:
    """Rows of `wire`, counters too, by `Sample.key`, in wire order. The receive time tells the frame."""
    found: dict[tuple, list[Row]] = {}
    for row in decode(export, "wire").rows:
        is_counters = "packetDeltaCount" not in row
        key = (row["_received"] // NS_A_FRAME, is_counters, row["sample_sequence"], row["ds_class"], row["ds_index"])
        found.setdefault(key, []).append(row)
    return found


def assert_nothing_is_ours_alone(samples: list[sflow.Sample], rows: dict[tuple, list[Row]]) -> None:
    """Of every sample that an oracle reads, it reads every column, but for those that flowfast adds."""
    seen: dict[tuple, set[str]] = {}
    for sample in samples:
        seen.setdefault(sample.key, set()).update(*sample.records)
    for key, columns in seen.items():
        for row in rows.get(key, []):
            alone = {column: row[column] for column in row.keys() - columns if not column.startswith("_")}
            assert alone.items() <= COMPUTED.items()


def assert_flows(samples: list[sflow.Sample], export: list[Datagram], ignored: set[int]) -> None:
    """The common columns of `flows` are those that tshark's values give; not in frames where it reads other values."""
    expected = Counter(common(sflow.flow(sample)) for sample in samples if sample.frame not in ignored)
    rows = decode([datagram for datagram in export if datagram.frame not in ignored], "flows").rows
    ours = Counter(map(common, rows))
    assert (list((ours - expected).elements())[:1], list((expected - ours).elements())[:1]) == ([], []), COLUMNS


def common(row: Row) -> tuple:
    shown = (row.get(column) for column in COLUMNS)
    return tuple(tuple(value) if isinstance(value, list) else plain_address(value) for value in shown)
