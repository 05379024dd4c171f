"""The requirements (`tests/requirements.csv`) and the tests that name them.

A test names what it proves by id, `FF-IX-03`, in its docstring, a comment of its body or `@pytest.mark.requirement("FF-IX-03")`.
"""

import ast
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
TABLE = TESTS / "requirements.csv"
RUST_NAME = re.compile(r"\bfn (\w+)\(")
ID = re.compile(r"FF-[A-Z0-9]+-\d+")
# Sections of the specification whose every MUST is named by a test, or is open
SECTIONS = ("2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.9", "2.10", "2.12", "2.13", "2.15", "2.16", "2.17", "3.3", "3.4")


@dataclass(frozen=True)
class Requirement:
    """A row of the table; `open`: why it is not met, or not wholly, or not proven here; nothing where it is."""

    id: str
    level: str
    section: str
    text: str
    open: str

    @property
    def must_be_proven(self) -> bool:
        """A MUST of the formats, templates, data types, sequence, sampling, robustness and the order of fields."""
        return self.level.startswith("MUST") and any(self.section == s or self.section.startswith(f"{s}.") for s in SECTIONS)


def table() -> list[Requirement]:
    with TABLE.open(newline="") as file:
        return [Requirement(**row) for row in csv.DictReader(file)]


def citations() -> dict[str, list[str]]:
    """Requirement: the tests that name it, as `file::test`."""
    found: dict[str, list[str]] = {}
    for test, source in (*_python_tests(), *_rust_tests()):
        for requirement in sorted(set(ID.findall(source))):
            found.setdefault(requirement, []).append(test)
    return {requirement: sorted(tests) for requirement, tests in found.items()}


def _python_tests() -> Iterator[tuple[str, str]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                yield f"{path.relative_to(ROOT)}::{node.name}", "\n".join(lines[first - 1 : node.end_lineno])


def _rust_tests() -> Iterator[tuple[str, str]]:
    """Functions under `#[test]` with the doc comment before it, which rustfmt closes at their own indentation."""
    for path in sorted((ROOT / "rust").rglob("*.rs")):
        if "target" in path.parts:
            continue
        lines = path.read_text().splitlines()
        for attribute in (number for number, line in enumerate(lines) if line.strip() == "#[test]"):
            indent = lines[attribute].partition("#")[0]
            first = attribute
            while lines[first - 1].startswith(f"{indent}///"):
                first -= 1
            last = lines.index(f"{indent}}}", attribute)
            test = "\n".join(lines[first : last + 1])
            yield f"{path.relative_to(ROOT)}::{RUST_NAME.search(test)[1]}", test
