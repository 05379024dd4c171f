"""What pmacct's tests expect nfacctd to make of captures: flows aggregated by their keys, under the column names of `flows`.

Times are not compared: nfacctd adds those of v9 to the header's whole seconds, and takes the export time where the exporter tells its
start in options data. Nor are prefix lengths, which it can take from BGP.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compare import Difference
from .golden import Unknown

Row = dict[str, Any]
Key = tuple[tuple[str, Any], ...]
_PROTOCOLS = {"ip": 0, "icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "ospf": 89, "pim": 103, "vrrp": 112}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_STATES = ("UNKNOWN", "FORWARDED", "DROPPED", "CONSUMED")
_PLAIN = {"iface_in": "in_if", "iface_out": "out_if", "ip_src": "src_addr", "ip_dst": "dst_addr", "port_src": "src_port",
    "port_dst": "dst_port", "tos": "ip_tos"}  # fmt: skip
# 0 and null are one to it
COLUMNS = (*_PLAIN.values(), "proto", "mpls_label", "forwarding_status", "src_mac", "dst_mac", "in_vrf", "out_vrf")


@dataclass
class Aggregate:
    """`frame`: of the first record, if it is known."""

    packets: int = 0
    octets: int = 0
    tcp_flags: int = 0
    frame: int = 1

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.packets, self.octets, self.tcp_flags


def expected(path: Path) -> dict[Key, Aggregate]:
    """The aggregates of an `output-flow` file."""
    found: dict[Key, Aggregate] = {}
    for line in path.read_text().splitlines():
        if line.strip():
            shown = json.loads(line)
            flags = sum(1 << _FLAGS.index(flag) for flag in shown["tcp_flags"])
            _add(found, _key(_of_nfacctd(shown)), Aggregate(shown["packets"], shown["bytes"], flags))
    return found


def aggregated(rows: Iterable[Row], columns: Iterable[str]) -> dict[Key, Aggregate]:
    """Rows of `flows`, which have their frame as `frame`, by the columns that nfacctd shows."""
    found: dict[Key, Aggregate] = {}
    names = set(columns)
    for row in map(_inner, rows):
        shown = {name: value for name, value in row.items() if name in names}
        shown["forwarding_status"] = row.get("forwarding_status", 0) >> 6
        packets, octets = row["packets"], row["bytes"]
        if rate := row.get("sampling_rate"):
            packets, octets = packets * rate, octets * rate
        _add(found, _key(shown), Aggregate(packets, octets, row.get("tcp_flags", 0), row["frame"]))
    return found


def _inner(row: Row) -> Row:
    """Of a tunnel, nfacctd shows the packet in it as the flow."""
    inner = {name.removeprefix("inner_"): value for name, value in row.items() if name.startswith("inner_")}
    return row | inner if "proto" in inner else row


def shown_columns(aggregates: dict[Key, Aggregate]) -> set[str]:
    """The columns that any of its keys have: what is 0 everywhere may not have been asked for."""
    return {name for key in aggregates for name, _ in key}


def differences(theirs: dict[Key, Aggregate], ours: dict[Key, Aggregate]) -> list[Difference]:
    """Aggregates that only one of them has, or that count otherwise."""
    found = []
    for key in sorted(theirs.keys() | ours.keys(), key=lambda key: (key not in ours, ours[key].frame if key in ours else 0, str(key))):
        their, our = theirs.get(key), ours.get(key)
        if their is None or our is None or their.counts != our.counts:
            values = dict(key)
            name = f"{values.get('src_addr')} {values.get('dst_addr')}"
            their_text, our_text = (f"{name} {one.packets} packets" if one else None for one in (their, our))
            found.append(Difference("aggregates", our.frame if our else 1, their_text, our_text, b""))
    return found


def _add(found: dict[Key, Aggregate], key: Key, one: Aggregate) -> None:
    if (aggregate := found.setdefault(key, one)) is not one:
        aggregate.packets += one.packets
        aggregate.octets += one.octets
        aggregate.tcp_flags |= one.tcp_flags


def _key(row: Row) -> Key:
    values = ((column, row.get(column)) for column in COLUMNS)
    return tuple((column, tuple(value) if isinstance(value, list) else value) for column, value in values if value)


def _of_nfacctd(shown: Row) -> Row:
    row = {column: shown[name] for name, column in _PLAIN.items()}
    if shown["ip_proto"] not in _PROTOCOLS:
        raise Unknown(shown["ip_proto"])
    row["proto"] = _PROTOCOLS[shown["ip_proto"]]
    row["mpls_label"] = tuple(int(label.partition("-")[2]) for label in shown["mpls_label_stack"])
    row["forwarding_status"] = _STATES.index(shown["fwd_status"].split()[0])
    if "mac_src" in shown:
        row |= {column: int(shown[name].replace(":", ""), 16) for name, column in (("mac_src", "src_mac"), ("mac_dst", "dst_mac"))}
    if own := shown.get("custom_primitives"):
        row |= {"in_vrf": int(own["vrf_id_ingress"]), "out_vrf": int(own["vrf_id_egress"])}
    return row
