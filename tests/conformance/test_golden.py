"""The captures of other projects against what those projects expect of them, value by value.

Compared is what the structural parser finds, which `test_captures.py` holds against `wire` of the same captures.
Where they differ, `oracle/disagreements.csv` says why.
"""

from pathlib import Path

import pytest
from disagreements import assert_as_in_table

from captures import shared_rows
from oracle import compare, golden
from oracle.capture import SHARED_CAPTURES, datagrams
from oracle.structure import Walker


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
