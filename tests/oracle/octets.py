"""Where tshark sees the fields of each record: the octets of every one, in wire order, whatever it makes of them.

What `tshark.py` compares are values of elements that it has names for. Here are all fields: of enterprises, of variable length,
repeated, scopes, padding.
"""

import os
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from .capture import datagrams
from .structure import Element, Record
from .tshark import RECORD, SET, uncounted

# start and end of the flow: compared as values
TIMES = {21, 22, *range(150, 160)}
TIME_NAMES = {f"cflow.{name}" for name in ("timedelta", "timestart", "timeend", "abstimestart", "abstimeend")}


def records(path: Path) -> dict[int, list[list[bytes]]]:
    """By frame, the octets of the fields of each record."""
    ports = sorted({datagram.port for datagram in datagrams(path)})
    forced = [word for port in ports for word in ("-d", f"udp.port=={port},cflow")]
    found: dict[int, list[list[bytes]]] = {}
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(uncounted(path))
        file.flush()
        command = ["tshark", "-r", file.name, "-n", *forced, "-T", "pdml"]
        environment = os.environ | {"TZ": "UTC", "LC_ALL": "C"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as tshark:
            for _, packet in ET.iterparse(tshark.stdout):
                if packet.tag == "packet":
                    frame = int(packet.find("proto/field[@name='num']").attrib["show"])  # type: ignore[union-attr]
                    seen = [list(_fields(record)) for layer in packet.iterfind("proto[@name='cflow']") for record in _records(layer)]
                    found.setdefault(frame, []).extend(seen)
                    packet.clear()
    return found


def _records(layer: ET.Element) -> Iterator[ET.Element]:
    for node in layer:
        if SET.match(node.get("show", "")):
            yield from (record for record in node if RECORD.match(record.get("show", "")) and not record.get("name"))
        elif RECORD.match(node.get("show", "")) and not node.get("name"):
            yield node


def _fields(record: ET.Element) -> Iterator[bytes]:
    """By their place, but for times, which it pairs and moves. A `timedelta` without members is an element (161)."""
    for node in sorted(record, key=lambda node: int(node.get("pos", 0))):
        octets = node.get("unmaskedvalue") or node.get("value")
        is_time = node.get("name") in TIME_NAMES and (len(node) or node.get("name") != "cflow.timedelta")
        if octets and not is_time:
            yield bytes.fromhex(octets)


def first_difference(record: Record, fields: list[bytes]) -> tuple[Element, bytes, bytes] | None:
    """The first field of which tshark has other octets: (element, theirs, ours). It shows some fields (95, 139) in two parts."""
    rest = iter(fields)
    for element, octets in record.values.items():
        if not element.pen and element.id in TIMES:
            continue
        theirs = b""
        while len(theirs) < len(octets) and (part := next(rest, None)):
            theirs += part
        if theirs != octets:
            return element, theirs, octets
    return None
