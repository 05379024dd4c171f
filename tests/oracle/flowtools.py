"""flow-tools as an oracle: its own decode (CSV) of the v1-v8 flows that it exported."""

import csv
from pathlib import Path

from .structure import Record
from .values import decode

# columns of `flow-export -f2`: the names of its record fields
COLUMNS = {
    "dflows": "dFlows", "dpkts": "dPkts", "doctets": "dOctets", "first": "First", "last": "Last", "nexthop": "nexthop",
    "input": "input", "output": "output", "srcport": "srcport", "dstport": "dstport", "prot": "prot", "tos": "tos",
    "src_mask": "src_mask", "dst_mask": "dst_mask", "src_as": "src_as", "dst_as": "dst_as", "in_encaps": "in_encaps",
    "out_encaps": "out_encaps", "router_sc": "router_sc", "extra_pkts": "extra_pkts", "marked_tos": "marked_tos",
}  # fmt: skip
# it has one column for what different formats call differently
EITHER = {"srcaddr": ("srcaddr", "src_prefix"), "dstaddr": ("dstaddr", "dst_prefix"), "tcp_flags": ("tcp_flags", "flags")}
ADDRESSES = {"srcaddr", "dstaddr", "nexthop", "router_sc", "peer_nexthop", "src_prefix", "dst_prefix"}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        header = file.readline().removeprefix("#:").strip().split(",")
        if header.count("nexthop") == 2:  # v6: the second is the peer's
            header[len(header) - 1 - header[::-1].index("nexthop")] = "peer_nexthop"
        return list(csv.DictReader(file, header))


def differences(record: Record, row: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Columns whose value differs: (ours, theirs)."""
    ours = {e.name: _text(e.name, octets) for e, octets in record.values.items()}
    names = {column: (COLUMNS[column],) for column in row if column in COLUMNS} | {c: n for c, n in EITHER.items() if c in row}
    found = {}
    for column, candidates in names.items():
        mine = next((ours[name] for name in candidates if name in ours), None)
        if mine is not None and mine != row[column]:
            found[column] = (mine, row[column])
    return found


def _text(name: str, octets: bytes) -> str:
    return decode(octets, "ipv4Address") if name in ADDRESSES else str(int.from_bytes(octets))
