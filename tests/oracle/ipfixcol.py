"""What ipfixcol's tests expect it to make of IPFIX files: prints of messages, and files of messages."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .structure import Record

Octets = tuple[tuple[int, bytes], ...]
_VALUE = re.compile(r"\tIE ID: (\d+)\t\tValue: (?:0x)?([0-9a-f]+)$")
_ORIGINAL_DOMAIN = 405  # its plugin `joinflows` adds it
_SIXTEEN = 16


def printed(path: Path, lengths: dict[int, int]) -> Counter[Octets]:
    """The records of a print, by the octets of their IANA elements, of which `lengths` says how many they have. Of others it prints none.

    It reads numbers as the machine does that it runs on, and prints those; of addresses of 16 octets it prints the octets.
    """
    found: Counter[Octets] = Counter()
    for block in path.read_text().split("Data Record (#")[1:]:
        values = [(int(each[1]), each[2]) for line in block.splitlines() if (each := _VALUE.match(line))]
        found[tuple((number, _octets(text, lengths[number])) for number, text in values if number != _ORIGINAL_DOMAIN)] += 1
    return found


def _octets(text: str, length: int) -> bytes:
    return bytes.fromhex(text.zfill(2 * length)) if length == _SIXTEEN else int(text, 16).to_bytes(length, "little")


def octets(records: Iterable[Record]) -> Counter[Octets]:
    """The same of records."""
    return Counter(tuple((element.id, octets) for element, octets in record.values.items() if not element.pen) for record in records)
