"""`oracle/disagreements.csv` in force: a disagreement that is not there fails, and so does one there that is gone."""

from collections.abc import Collection
from pathlib import Path

from oracle import compare
from oracle.capture import datagrams

TABLE = compare.table()


def assert_as_in_table(path: Path, oracle: str, differences: list[compare.Difference], but: Collection[str] = ()) -> None:
    """Column by column, `but` those: as many differences, the same first one, and the octets that decide it are in that frame."""
    by_column: dict[str, list[compare.Difference]] = {}
    for difference in differences:
        by_column.setdefault(difference.column, []).append(difference)
    known = {row["column"]: row for row in TABLE.get((path.name, oracle), []) if row["column"] not in but}
    assert by_column.keys() == known.keys()
    for column, found in by_column.items():
        row, first = known[column], found[0]
        theirs = " ".join(map(str, first.theirs)) if isinstance(first.theirs, list) else first.theirs
        seen = (len(found), first.frame, *("" if value is None else str(value) for value in (theirs, first.ours)))
        assert seen == (int(row["count"]), int(row["frame"]), row["theirs"], row["ours"])
        assert first.octets in (b"", bytes.fromhex(row["octets"]))
        assert_octets_are_there(path, row)


def assert_octets_are_there(path: Path, row: dict[str, str]) -> None:
    payload = next(d.payload for d in datagrams(path) if d.frame == int(row["frame"]))
    assert bytes.fromhex(row["octets"]) in payload
    assert row["right"] in ("ours", "policy", "none")
    assert len(row["why"]) > 10
