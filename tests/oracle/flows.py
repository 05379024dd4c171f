"""The common columns of the `flows` schema, computed from element values of any oracle."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from . import values
from .structure import Message

# column: elements that can fill it, the first that is there counts
FEEDS = {
    "src_port": (7, 180, 182), "dst_port": (11, 181, 183), "proto": (4,), "ip_tos": (5,), "tcp_flags": (6,),
    "bytes": (1, 85, 231, 352, 23), "packets": (2, 86, 298, 24), "in_if": (10, 252), "out_if": (14, 253),
    "src_as": (16,), "dst_as": (17,), "flows": (3,), "ip_ttl": (192, 52), "fragment_id": (54,), "fragment_offset": (88,),
    "ipv6_flow_label": (31,), "flow_direction": (61,), "flow_end_reason": (136,), "forwarding_status": (89,),
    "src_vlan": (58, 243), "dst_vlan": (59, 254), "src_mac": (56, 81), "dst_mac": (80, 57), "in_vrf": (234,), "out_vrf": (235,),
    "post_nat_src_port": (227,), "post_nat_dst_port": (228,), "nat_event": (230,), "firewall_event": (233,),
}  # fmt: skip
# only these bits of a value count: RFC 9565 section 3 (data offset), IANA's description of forwardingStatus (low octet)
MASKS = {"tcp_flags": 0x0FFF, "forwarding_status": 0xFF}
# column: (IPv4 elements, IPv6 elements); where a template has both, the record's IP version chooses
FAMILIES = {
    "src_addr": ((8, 44), (27, 170)), "dst_addr": ((12, 45), (28, 169)), "next_hop": ((15,), (62,)),
    "src_net": ((9,), (29,)), "dst_net": ((13,), (30,)), "bgp_next_hop": ((18,), (63,)),
    "post_nat_src_addr": ((225,), (281,)), "post_nat_dst_addr": ((226,), (282,)),
}  # fmt: skip
ICMP = {"icmp_type": (8, (176, 178)), "icmp_code": (0, (177, 179))}  # column: (shift in 32 and 139, elements of its own)
COLUMNS = (*FEEDS, *FAMILIES, *ICMP, "etype", "mpls_label", "time_flow_start", "time_flow_end")
WRAP_MS = 1 << 32
INVERSION_MS = 100_000
EVENT_TIMES = (323, 324, 325, 322)  # observationTime*: of records about an event, not a flow
Row = dict[str, Any]


def expected(messages: Iterable[Message]) -> list[Row]:
    """A row per Flow Record, with the octets as the structural parser found them; recovered records stand last.

    What options data tells is what was known when the record was decoded: of a recovered one, when its template came.
    """
    boots = Boots()
    rows, late = [], []
    for message in messages:
        boots.learn(message)
        rows += [row(values.elements(r), message, boots.of(message)) for r in message.records if not r.template.is_options]
        late += [row(values.elements(r), r.message, boots.of(r.message)) for r in message.brought_back if not r.template.is_options]
    return rows + late


class Boots:
    """systemInitTimeMilliseconds (160) that options records announced, per Transport Session and Observation Domain (FF-EN-07)."""

    def __init__(self) -> None:
        self._known: dict[tuple, int] = {}

    def learn(self, message: Message) -> None:
        for record in message.records:
            if record.template.is_options and isinstance(boot_ns := values.elements(record).get(160), int):
                self._known[_stream(message)] = boot_ns // 10**6

    def of(self, message: Message) -> int | None:
        return self._known.get(_stream(message))


def _stream(message: Message) -> tuple:
    return message.version, message.datagram.source, message.datagram.source_port, message.domain


def row(elements: Row, message: Message, boot_ms: int | None = None) -> Row:
    """One row; columns that the record says nothing of are None."""
    found: Row = {column: _first(elements, feeds) for column, feeds in FEEDS.items()}
    for column, mask in MASKS.items():
        if found[column] is not None:
            found[column] &= mask
    for column in ("src_mac", "dst_mac"):
        if found[column] is not None:
            found[column] = int(found[column].replace(":", ""), 16)
    version = _ip_version(elements)
    for column, (ipv4, ipv6) in FAMILIES.items():
        order = (ipv6, ipv4) if version == 6 else (ipv4, ipv6)
        found[column] = _first(elements, (*order[0], *order[1]))
    for column, (shift, own) in ICMP.items():
        found[column] = _icmp(elements, message, shift, own)
    found["etype"] = _ether_type(elements, version)
    found["mpls_label"] = _labels(elements)
    found["time_flow_start"], found["time_flow_end"] = _times_us(elements, message, boot_ms)
    return found


def _first(elements: Row, numbers: Iterable[int]) -> Any:
    return next(
        (elements[number] for number in numbers if elements.get(number) is not None and not isinstance(elements[number], bytes)), None
    )


def _ip_version(elements: Row) -> int:
    """Told by the record, or by the addresses it has, or by which of them are not zero."""
    if elements.get(60) in (4, 6):
        return elements[60]
    ipv4, ipv6 = ([elements[n] for n in numbers if isinstance(elements.get(n), str)] for numbers in ((8, 12, 44, 45), (27, 28, 169, 170)))
    return 6 if ipv6 and (not ipv4 or any(int(ipaddress.IPv6Address(address)) for address in ipv6)) else 4


def _icmp(elements: Row, message: Message, shift: int, own: tuple[int, ...]) -> int | None:
    """Of the combined element, the element of its own, or in NetFlow v1-v8 the destination port."""
    combined = _first(elements, (32, 139))
    if combined is None and message.version < values.NETFLOW9 and elements.get(4) == 1:
        combined = elements.get(11)
    return _first(elements, own) if combined is None else combined >> shift & 0xFF


def _ether_type(elements: Row, version: int) -> int | None:
    if elements.get(256) is not None:
        return elements[256]
    addressed = any(isinstance(elements.get(number), str) for number in (8, 12, 44, 45, 27, 28, 169, 170))
    return {4: 0x0800, 6: 0x86DD}[version] if addressed else None


def _labels(elements: Row) -> list[int] | None:
    """RFC 3032 section 2.1: label 20 bits, then 3, then the bottom of the stack; zeros are unused entries."""
    fields = [elements.get(number) for number in range(70, 80)]
    entries = [int.from_bytes(field) for field in fields if isinstance(field, bytes) and len(field) == 3]
    if not entries:
        return None
    labels = []
    for entry in entries:
        if entry == 0:
            break
        labels.append(entry >> 4)
        if entry & 1:
            break
    return labels


def _times_us(elements: Row, message: Message, boot_ms: int | None) -> tuple[int | None, int | None]:
    """Absolute times, or those relative to the exporter's start, if that is known (FF-V9-15, FF-DT-08)."""
    absolute = [None if elements.get(key) is None else elements[key] // 1000 for key in ("start_ns", "end_ns")]
    relative: list[int | None] = [None, None]
    if message.version <= values.NETFLOW9:
        first, last = elements.get(22), elements.get(21)
        relative[1] = None if last is None else values.uptime_to_ms(last, message)
        if first is not None and last is not None:
            relative[0] = relative[1] - _duration_ms(first, last)
        elif first is not None:
            relative[0] = values.uptime_to_ms(first, message)
    else:
        own = elements.get(160)
        base = own // 10**6 if isinstance(own, int) else boot_ms
        if base is not None:
            relative = [base + elements[n] if isinstance(elements.get(n), int) else None for n in (22, 21)]
    seen = next((elements[n] // 1000 for n in EVENT_TIMES if isinstance(elements.get(n), int)), None)
    start, end = (a if a is not None else r * 1000 if r is not None else seen for a, r in zip(absolute, relative, strict=True))
    return start, end


def _duration_ms(first: int, last: int) -> int:
    """A First beyond Last is before the wrap of the clock (FF-NF-06), unless it is beyond by a little: rounding (FF-Q-07)."""
    return last - first if 0 < first - last < INVERSION_MS else (last - first) % WRAP_MS
