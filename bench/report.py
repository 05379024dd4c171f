"""Tables for people, and the machine they are true of."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traffic import FLOWFAST

Cell = str | int | float | None


@dataclass
class Table:
    """One table: a heading, the commands that give its figures, what to know when reading it, and rows of equal keys."""

    title: str
    commands: list[str]
    notes: list[str] = field(default_factory=list)
    rows: list[dict[str, Cell]] = field(default_factory=list)

    def markdown(self) -> str:
        """As GitHub's Markdown: text to the left, numbers to the right."""
        lines = [f"### {self.title}", "", "```", *self.commands, "```", ""]
        if self.rows:
            lines += _grid(self.rows)
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines)


def _grid(rows: Sequence[dict[str, Cell]]) -> list[str]:
    names = list(rows[0])
    cells = [names, *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    is_text = [isinstance(rows[0][name], str) for name in names]
    aligned = [
        [cell.ljust(width) if left else cell.rjust(width) for cell, width, left in zip(line, widths, is_text, strict=True)]
        for line in cells
    ]
    rule = ["-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, is_text, strict=True)]
    return [f"| {' | '.join(line)} |" for line in (aligned[0], rule, *aligned[1:])]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}" if abs(cell) < 10 else f"{cell:.1f}"


def machine() -> dict[str, str | int]:
    """What the figures were measured on, and with what."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    version = subprocess.run([*FLOWFAST, "--version"], capture_output=True, text=True, check=False).stdout.split()
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    revision = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() if shutil.which("git") else ""
    return {
        "cpu": model[1] if model else platform.machine(),
        "cpus": os.cpu_count() or 0,
        "virtual": "yes" if "hypervisor" in cpuinfo else "no",
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "flowfast": version[-1] if version else "unknown",
        "revision": revision or "unknown",
        "load_average_at_start": f"{os.getloadavg()[0]:.2f}",
    }
