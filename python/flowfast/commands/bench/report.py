"""What the benchmarks print: a JSON object for programs, a table for people, and progress on a terminal."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.status import Status

Cell = str | int | float | None
_SCRATCH_OCTETS = 2 << 30


def figures(
    *, records: int, cpu_s: float, floor_s: float | None, baseline_s: float | None, lost: int | None, cpu_records: int | None = None
) -> dict[str, Any]:
    """The figures that all benchmarks have. CPU times are those of `cpu_records` (all, unless said)."""
    of = max(records if cpu_records is None else cpu_records, 1)
    return {
        "records": records,
        "cpu_seconds": round(cpu_s, 4),
        "records_per_cpu_second": round(of / cpu_s) if cpu_s else None,
        "ns_per_record": round(cpu_s * 1e9 / of, 2),
        "floor_ns_per_record": None if floor_s is None else round(floor_s * 1e9 / of, 2),
        "baseline_ns_per_record": None if baseline_s is None else round(baseline_s * 1e9 / of, 2),
        "lost": lost,
    }


def print_report(load: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], *, table: Sequence[str], as_json: bool) -> None:
    """Print all runs: as one object that has the figures of the first at its top, or as a table of some of their keys."""
    if as_json:
        print(json.dumps(dict(load) | dict(runs[0]) | {"runs": runs}))
    else:
        print("\n".join(grid([{name: _plain(run[name]) for name in table} for run in runs])))


def grid(rows: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Rows as a table in Markdown: text to the left, numbers to the right."""
    names = list(rows[0])
    cells = [[name.replace("_", " ") for name in names], *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    is_text = [any(isinstance(row[name], str) for row in rows) for name in names]
    aligned = [
        " | ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width, left in zip(line, widths, is_text, strict=True))
        for line in cells
    ]
    rule = " | ".join("-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, is_text, strict=True))
    return [f"| {line} |" for line in (aligned[0], rule, *aligned[1:])]


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


@contextmanager
def progress() -> Iterator[Status]:
    """A line that says what is being measured, if standard error is a terminal: `update` it."""
    with Console(stderr=True).status("starting") as status:
        yield status


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A directory of the benchmark's own, removed at the end: in `parent`, or in memory where it has room, so that no disk is measured."""
    shared = Path("/dev/shm")
    in_memory = shared if shared.is_dir() and shutil.disk_usage(shared).free > _SCRATCH_OCTETS else None
    with tempfile.TemporaryDirectory(prefix="flowfast-bench-", dir=parent or in_memory) as directory:
        yield Path(directory)


def _plain(value: object) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str | int | float) else None


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
