"""The captures of other projects against what those projects expect of them, value by value.

Compared is what the structural parser finds, which `test_captures.py` holds against `wire` of the same captures.
Where they differ, `oracle/disagreements.csv` says why.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from decoding import Row, decode, plain_address
from disagreements import assert_as_in_table

from captures import shared_rows
from oracle import compare, golden, ipfixcol, pmacct
from oracle.capture import SHARED_CAPTURES, datagrams
from oracle.structure import Record, Walker


def goldens() -> list[tuple[str, Path, list[Path]]]:
    """(project, capture, its files): a file that is there twice counts once."""
    found = []
    for row in shared_rows().values():
        paths = [SHARED_CAPTURES / name for name in row["golden"].split(";") if name]
        for project in sorted({path.relative_to(SHARED_CAPTURES).parts[1] for path in paths} & golden.READERS.keys()):
            own = {path.read_bytes(): path for path in paths if project in path.parts}
            found.append((project, SHARED_CAPTURES / row["file"], sorted(own.values())))
    return found


@pytest.mark.parametrize(("project", "path", "files"), goldens(), ids=lambda value: value.name if isinstance(value, Path) else None)
def test_expected_by_its_project(project: str, path: Path, files: list[Path]) -> None:
    records = [record for message in Walker().walk(datagrams(path)) for record in message.records]
    expected = [found for file in files if (found := golden.read(project, file))]
    assert_as_in_table(path, project, [difference for one in expected for difference in compare.with_golden(records, one)])


def aggregated() -> list[tuple[Path, list[Path]]]:
    """(what nfacctd is expected to make of captures, the captures)."""
    found: dict[Path, list[Path]] = {}
    for row in shared_rows().values():
        for name in row["golden"].split(";"):
            if "/pmacct-testauto/" in name and name.endswith(".json"):
                found.setdefault(SHARED_CAPTURES / name, []).append(SHARED_CAPTURES / row["file"])
    return sorted(found.items())


@pytest.mark.parametrize(
    ("file", "paths"), aggregated(), ids=lambda value: f"{value.parent.name}-{value.stem}" if isinstance(value, Path) else ""
)
def test_aggregates_of_pmacct(file: Path, paths: list[Path]) -> None:
    """Every flow that nfacctd aggregates, by the sum of its packets and octets, sampling undone."""
    theirs = pmacct.expected(file)
    columns = pmacct.shown_columns(theirs)
    ours = pmacct.aggregated((row for path in paths for row in rows_with_frames(path)), columns)
    assert theirs
    assert_as_in_table(paths[0], f"pmacct {file.stem}", pmacct.differences(theirs, ours))


def rows_with_frames(path: Path) -> list[Row]:
    """Rows of `flows`, whose receive time (in microseconds) tells the frame."""
    export = [replace(datagram, time_ns=datagram.frame * 10**6) for datagram in datagrams(path)]
    rows = decode(export, "flows", columns=["full"]).rows
    return [{name: plain_address(value) for name, value in row.items()} | {"frame": row["time_received"] // 10**3} for row in rows]


IPFIXCOL = SHARED_CAPTURES / "golden" / "ipfixcol"
needs_shared = pytest.mark.skipif(not IPFIXCOL.exists(), reason="the captures of other projects are not beside this repository")


def records_of(*names: str) -> list[Record]:
    """Of files of IPFIX messages, each read as one exporter's."""
    walks = (Walker().walk(datagrams(path)) for path in (SHARED_CAPTURES / "files" / name for name in names))
    return [record for walk in walks for message in walk for record in message.records]


@needs_shared
@pytest.mark.parametrize(
    ("test", "names"),
    [("two_inputs_with_same_ODID", ("03-odid0-a", "03-odid0-b")), ("two_inputs_+_joinflows", ("02-odid0", "02-odid4"))],
)
def test_prints_of_ipfixcol(test: str, names: tuple[str, ...]) -> None:
    """Every record of both files, octet by octet as far as it prints them."""
    records = records_of(*(f"ipfixcol__{name}.ipfix" for name in names))
    lengths = {element.id: len(octets) for record in records for element, octets in record.values.items()}
    assert ipfixcol.printed(IPFIXCOL / test / "expected.txt", lengths) == ipfixcol.octets(records)


@needs_shared
def test_a_file_of_ipfixcol() -> None:
    """What its filter for IP versions lets through of two files: all, of both versions."""
    walked = Walker().walk(datagrams(IPFIXCOL / "two_inputs_+_filter_by_ipVersion" / "expected.ipfix"))
    theirs = ipfixcol.octets(record for message in walked for record in message.records)
    assert theirs == ipfixcol.octets(records_of("ipfixcol__03-odid0-a.ipfix", "ipfixcol__03-odid0-b.ipfix"))
