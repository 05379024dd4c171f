"""nfdump as an oracle: what nfcapd stores of a capture whose datagrams are sent to it over loopback."""

import gzip
import ipaddress
import json
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import flows, values
from .capture import datagrams
from .structure import Element, Message, Record

PACE_S = 0.002  # between datagrams: nothing may be lost on the way to the oracle


def load(path: Path) -> list[dict[str, Any]]:
    """The same, made before by nfdump 1.7.8 and compressed."""
    text = gzip.decompress(path.read_bytes())
    return json.loads(text, strict=False) if text.strip() else []


def run(path: Path) -> list[dict[str, Any]]:
    """nfdump's JSON of all flows. Counters of sampled flows are multiplied by nfcapd, start and end are rounded to milliseconds."""
    with tempfile.TemporaryDirectory() as directory:
        port = _free_port()
        nfcapd = subprocess.Popen(
            ("nfcapd", "-w", directory, "-b", "127.0.0.1", "-p", str(port), "-t", "86400"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(0.3)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", port))
                for datagram in datagrams(path):
                    sock.send(datagram.payload)
                    time.sleep(PACE_S)
            time.sleep(0.3)
        finally:
            nfcapd.send_signal(signal.SIGTERM)
            nfcapd.wait(10)
        stored = next(Path(directory).glob("nfcapd.*"))
        done = subprocess.run(("nfdump", "-r", str(stored), "-o", "json"), capture_output=True, check=True)
        return json.loads(done.stdout, strict=False) if done.stdout.strip() else []


_SAMPLED = {"proto": "proto", "src_port": "src_port", "dst_port": "dst_port", "input_snmp": "in_if", "output_snmp": "out_if",
    "src_tos": "ip_tos", "src_mask": "src_net", "dst_mask": "dst_net", "src_as": "src_as", "dst_as": "dst_as", "src_vlan": "src_vlan",
    "dst_vlan": "dst_vlan", "in_packets": "packets_scaled", "in_bytes": "bytes_scaled"}  # fmt: skip


def of_sflow(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What sfcapd stored of flow samples, multiplied by their rates, under the column names of `flows`; what is 0 or empty is left out."""
    return [{column: value for column, value in _of_sflow(flow) if value not in (0, None)} for flow in stored]


def _of_sflow(flow: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((column, flow.get(name)) for name, column in _SAMPLED.items())
    for side in ("src", "dst"):
        yield f"{side}_addr", flow.get(f"{side}4_addr") or flow.get(f"{side}6_addr")
    yield "tcp_flags", _plain("tcp_flags", flow["tcp_flags"]) if "tcp_flags" in flow else 0
    for name, column in (("in_src_mac", "src_mac"), ("out_dst_mac", "dst_mac")):
        yield column, int(flow.get(name, "0").replace(":", ""), 16)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# nfdump's field: the elements that it may come from, the first that is there; a record that has none of them has 0 there
_FIELDS: dict[str, tuple[int, ...]] = {
    "proto": (4,), "src_tos": (5,), "dst_tos": (55,), "fwd_status": (89,), "input_snmp": (10,), "output_snmp": (14,), "src_mask": (9, 29),
    "dst_mask": (13, 30), "direction": (61,), "src_as": (16,), "dst_as": (17,), "ip4_next_hop": (15,),
    "ip6_next_hop": (62,), "bgp4_next_hop": (18,), "bgp6_next_hop": (63,), "src_vlan": (58,), "dst_vlan": (59,), "in_src_mac": (56,),
    "out_dst_mac": (57,), "in_dst_mac": (80,), "out_src_mac": (81,), "ingress_vrf": (234,), "egress_vrf": (235,), "vlanID": (243,),
    "cust_vlanID": (245,), "post_vlanID": (254,), "post_cust_vlanID": (255,), "phys_ingress": (252,), "phys_egress": (253,),
    "ethertype": (256,), "ip_version": (60,), "ip_minttl": (52, 192), "ip_maxttl": (53,), "src4_addr": (8,), "dst4_addr": (12,),
    "src6_addr": (27,), "dst6_addr": (28,), "src_port": (7,), "dst_port": (11, 32, 139), "src4_xlt_ip": (225,), "dst4_xlt_ip": (226,),
    "src6_xlt_ip": (281,), "dst6_xlt_ip": (282,), "src_xlt_port": (227,), "dst_xlt_port": (228,), "connect_id": (148,), "flowID": (148,),
    "event_id": (233, 230), "xevent_id": (33002,), "observationPointID": (138,), "in_bytes": (1, 85, 231), "in_packets": (2, 86, 298),
    "out_bytes": (23, 232), "out_packets": (24, 299),
}  # fmt: skip
# nfdump's own: its file, clock and sender, names of things, and networks that it only makes on request
_NOT_OF_THE_RECORD = {
    "cnt", "type", "ident", "ip4_router",
    "export_sysid", "received", "src4_geo", "dst4_geo", "src6_geo", "dst6_geo", "src_net", "dst_net", "sampled",
    "event", "label",
}  # fmt: skip
_FLAGS = "CEUAPRSF"
_ZERO = {"0.0.0.0", "::", "00:00:00:00:00:00"}


def compare(shown: list[dict[str, Any]], messages: list[Message]) -> list[tuple[str, int, Any, Any, bytes]]:
    """Flow by flow, in the order in which they were sent, every field: (field, frame, theirs, ours, octets). Both have as many."""
    boots, records = flows.Boots(), []
    for message in messages:
        boots.learn(message)
        records += [(record, boots.of(message)) for record in message.records if not record.template.is_options]
    return [
        (name, record.message.datagram.frame, *difference)
        for flow, (record, boot_ms) in zip(shown, records, strict=True)
        for name, difference in differences(flow, record, boot_ms).items()
    ]


def differences(shown: dict[str, Any], record: Record, boot_ms: int | None) -> dict[str, tuple[Any, Any, bytes]]:
    """Fields of a flow that nfdump shows otherwise than the record has them: (theirs, ours, the octets of the field)."""
    elements = values.elements(record)
    ours: dict[str, Any] = {name: _first(elements, numbers) for name, numbers in _FIELDS.items()}
    flow = flows.row(elements, record.message, boot_ms)
    combined = elements.get(32) or elements.get(139) or elements.get(11) or 0  # where it keeps ICMP's type and code
    ours |= {
        "dst_port": combined, "observationDomainID": record.message.domain,
        "observationDoaminID": record.message.domain, "aggr_flows": elements.get(3) or 1,
        "tcp_flags": (elements.get(6) or 0) & 0xFF, "icmp_type": flow["icmp_type"] or combined >> 8,
        "icmp_code": flow["icmp_code"] or combined & 0xFF, "t_event": (elements.get(323) or 0) // 1000,
        "first": (flow["time_flow_start"] or 0) // 1000 * 1000, "last": (flow["time_flow_end"] or 0) // 1000 * 1000,
    }  # fmt: skip
    for name, numbers in (("out_bytes", (1, 85)), ("out_packets", (2, 86))):  # RFC 5103
        reverse = (record.values.get(Element(values.REVERSE_PEN, number), b"") for number in numbers)
        ours[name] = ours[name] or int.from_bytes(next(filter(None, reverse), b""))
    for name, (pen, number) in _VENDORS.items():
        if octets := record.values.get(Element(pen, number)):
            ours[name] = values.decode(octets, values.registry().get((pen, number), ("", "unsigned32"))[1])
    for name, number in (("ingress_acl", 33000), ("egress_acl", 33001)):
        words = struct.unpack("<III", elements.get(number) or bytes(12))  # printed in the byte order of the machine it ran on
        ours[name] = "/".join(f"0x{word:x}" for word in words)
    ours["user_name"] = elements.get(40000) or "<empty>"
    for number in range(10):
        entry = elements.get(70 + number) or b""
        ours[f"mpls_{number + 1}"] = int.from_bytes(entry) if isinstance(entry, bytes) else entry
    theirs = {name: _plain(name, value) for name, value in shown.items() if name not in _NOT_OF_THE_RECORD}
    if shown.get("sampled"):
        theirs |= _unsampled(theirs, ours)
    return {name: (value, ours.get(name), _octets(name, record)) for name, value in theirs.items() if value != ours.get(name)}


# elements of vendors that it knows: Nokia's and Cisco's
_VENDORS = {
    "inServiceID": (637, 91), "outServiceID": (637, 92), "natString": (637, 93), "src4_addr": (9, 12236), "dst4_addr": (9, 12237),
    "dst_port": (9, 12241),
}  # fmt: skip
_TIMES = {"first": (22, *range(150, 160, 2)), "last": (21, *range(151, 160, 2)), "t_event": (323, 21)}


def _octets(name: str, record: Record) -> bytes:
    numbers = (_FIELDS | _TIMES | {"tcp_flags": (6,), "icmp_type": (32, 139, 178, 11), "icmp_code": (32, 139, 179, 11)}).get(name, ())
    return next((octets for element, octets in record.values.items() if element.id in numbers and not element.pen), b"")


def _first(elements: dict[Any, Any], numbers: tuple[int, ...]) -> Any:
    found = next((elements[number] for number in numbers if elements.get(number) is not None), 0)
    return 0 if found in _ZERO else found


def _plain(name: str, value: Any) -> Any:
    if name == "tcp_flags":
        return sum(1 << 7 - bit for bit, letter in enumerate(_FLAGS) if value[bit] == letter)
    if name.startswith("mpls_"):
        label, exp, bottom = map(int, value.split("-"))
        return label << 4 | exp << 1 | bottom
    if name in ("first", "last", "t_event") and value[4] == "-":
        stamp, _, fraction = value.partition(".")
        return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()) * 10**6 + int(fraction or 0) * 1000
    if value == "<unknown>.0":
        return 0
    if isinstance(value, str) and value.startswith("::ffff:"):
        return str(ipaddress.IPv6Address(value))
    return 0 if value in _ZERO else value


def _unsampled(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """nfcapd multiplies the counters of a sampled flow by its interval, all by the same."""
    packets, octets = ours["in_packets"], ours["in_bytes"]
    interval, rest = divmod(theirs["in_packets"], packets or 1)
    multiplied = rest == 0 and theirs["in_bytes"] == octets * interval
    return {"in_packets": packets, "in_bytes": octets} if multiplied else {}
