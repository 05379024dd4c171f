"""Which captures there are: the project's own, and those of other projects beside the repository."""

import csv
from functools import cache
from pathlib import Path

from oracle.capture import SHARED_CAPTURES, TESTS


def own() -> list[Path]:
    """The project's captures of NetFlow and IPFIX."""
    return sorted(path for path in (TESTS / "captures").glob("*.pcap") if "sflow" not in path.name)


@cache
def shared_rows() -> dict[str, dict[str, str]]:
    """The manifest of the shared captures, by file name; empty where they are not."""
    manifest = SHARED_CAPTURES / "MANIFEST.csv"
    if not manifest.exists():
        return {}
    with manifest.open() as file:
        return {Path(row["file"]).name: row for row in csv.DictReader(file)}


def shared(formats: set[str]) -> list[Path]:
    """Shared captures that hold one of these formats (`v1` ... `v9`, `ipfix`) and no sFlow."""
    rows = [row for row in shared_rows().values() if _formats(row) & formats and "sflow" not in row["protocols"]]
    return [SHARED_CAPTURES / row["file"] for row in rows]


def _formats(row: dict[str, str]) -> set[str]:
    return {part.split("=")[0] for part in row["protocols"].split(";") if "=" in part}
