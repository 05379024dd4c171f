"""Snapshots of the `insta` crate: a document of YAML's plain block style, which is all that is read here."""

import re
from pathlib import Path
from typing import Any

_ENTRY = re.compile(r"([\w ]+):(?: +(.*))?$")
_WORDS = {"~": None, "null": None, "[]": [], "true": True, "false": False}
Lines = list[tuple[int, str]]


def load(path: Path) -> Any:
    """The document behind the head of a snapshot."""
    _, _, text = path.read_text().removeprefix("---").partition("---\n")
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]
    lines.reverse()
    return _block(lines)


def _block(lines: Lines) -> Any:
    """`lines` are taken from the end."""
    indent, text = lines[-1]
    if text.startswith("- "):
        items = []
        while lines and lines[-1][0] == indent and lines[-1][1].startswith("- "):
            lines[-1] = (indent + 2, lines[-1][1][2:])
            items.append(_block(lines))
        return items
    if not _ENTRY.match(text):
        return _scalar(lines.pop()[1])
    entries = {}
    while lines and lines[-1][0] == indent and (entry := _ENTRY.match(lines[-1][1])):
        lines.pop()
        key, value = entry.groups()
        # a list may stand at its key's own indentation
        below = lines and (lines[-1][0] > indent or (lines[-1][0] == indent and lines[-1][1].startswith("- ")))
        entries[key] = _scalar(value) if value is not None else _block(lines) if below else None
    return entries


def _scalar(text: str) -> Any:
    if text.startswith('"'):
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    try:
        return int(text)
    except ValueError:
        return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else text
