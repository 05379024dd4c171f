"""tshark as an oracle: what its `cflow` dissector makes of every record, by frame, as values of Information Elements."""

import gzip
import ipaddress
import json
import os
import re
import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .capture import datagrams, wrapped

# tshark's field: the elements that it shows under that name (IANA numbers; times are handled apart)
FIELDS: dict[str, tuple[int, ...]] = {
    "octets": (1,), "packets": (2,), "flows": (3,), "protocol": (4,), "tos": (5,), "tcpflags": (6,), "srcport": (7,),
    "srcaddr": (8,), "srcmask": (9,), "inputint": (10,), "dstport": (11,), "dstaddr": (12,), "dstmask": (13,),
    "outputint": (14,), "nexthop": (15,), "srcas": (16,), "dstas": (17,), "bgpnexthop": (18,), "srcaddrv6": (27,),
    "dstaddrv6": (28,), "srcmaskv6": (29,), "dstmaskv6": (30,), "ipv6flowlabel": (31,), "sampling_interval": (34,),
    "sampler_id": (48,), "sampler_mode": (49,), "sampler_random_interval": (50,), "ttl_min": (52,), "ttl_max": (53,),
    "srcmac": (56,), "post_dstmac": (57,), "vlanid": (58,), "post_vlanid": (59,), "ip_version": (60,), "direction": (61,),
    "nexthopv6": (62,), "bgpnexthopv6": (63,), "dstmac": (80,), "if_name": (82,), "if_descr": (83,),
    "permanent_octets": (85,), "permanent_packets": (86,), "flow_end_reason": (136,), "flow_id": (148,), "ip_ttl": (192,),
    "initiator_octets": (231,), "responder_octets": (232,), "initiator_packets": (298,), "post_octets": (23,),
    "post_packets": (24,), "srcprefix": (44,), "srcnet": (44,), "dstnet": (45,),
    "post_natsource_ipv4_address": (225,), "post_natdestination_ipv4_address": (226,),
    "post_naptsource_transport_port": (227,), "post_naptdestination_transport_port": (228,), "firewall_event": (233,),
    "ingress_vrfid": (234,), "egress_vrfid": (235,), "biflow_direction": (239,), "dot1q_vlan_id": (243,),
    "dot1q_customer_vlan_id": (245,), "ethernet_type": (256,), "selector_id": (302,), "delta_octets_squared": (198,),
    "sampling_packet_interval": (305,), "icmp_type_code_ipv4": (32,), "icmp_ipv6_type": (178,), "icmp_ipv6_code": (179,),
    "length_min": (25,), "length_max": (26,), "sampling_algorithm": (35,), "flow_active_timeout": (36,), "flow_inactive_timeout": (37,),
    "engine_type": (38,), "engine_id": (39,), "packetsexp": (41,), "flowsexp": (42,), "routersc": (43,), "toplabeltype": (46,),
    "toplabeladdr": (47,), "flow_class": (51,), "frag_ident": (54,), "post_tos": (55,), "ipv6_exthdr": (64,), "sampler_name": (84,),
    "mpls_vpn_rd": (90,), "mpls_top_label_prefix_length": (91,), "appl_name": (96,), "post_ip_diff_serv_code_point": (98,),
    "classification_engine_id": (101,), "exporter_addr": (130,), "exporter_addr_v6": (131,), "observation_point_id": (138,),
    "toplabeladdr_v6": (140,), "mp_id": (143,), "flow_exporter": (144,), "wlan_ssid": (147,), "od_id": (149,), "ignore_packets": (164,),
    "notsent_packets": (167,), "icmp_ipv4_type": (176,), "icmp_ipv4_code": (177,), "ip_dscp": (195,), "ip_precedence": (196,),
    "export_protocol_version": (214,), "exporter_protocol": (215,), "nat_originating_address_realm": (229,), "vrfname": (236,),
    "ethernet_header_length": (240,), "dot1q_priority": (244,), "ingress_physical_interface": (252,), "egress_physical_interface": (253,),
    "observation_point_type": (277,), "new_connection_delta_count": (278,), "connection_sum_duration_seconds": (279,),
    "anonymization_technique": (286,), "nat_type": (297,), "responder_packets": (299,), "selection_sequence_id": (301,),
    "selector_algorithm": (304,), "sampling_packet_space": (306,), "sampling_size": (309,), "sampling_population": (310,),
    "data_link_frame_section": (315,), "selector_name": (335,), "private_enterprise_number": (346,), "layer2_segment_id": (351,),
    "layer2_octet_delta_count": (352,), "sta_mac_address": (365,), "sta_ipv4_address": (366,), "wtp_mac_address": (367,),
    "application_category_name": (372,), "value_distribution_method": (384,), "flow_selector_algorithm": (390,),
    "data_link_frame_type": (408,), "section_exported_octets": (410,), "mib_capture_time_semantics": (448,),
    "nat_quota_exceeded_event": (466,), "nat_threshold_event": (467,),
    "ingress_acl_id": (33000,), "egress_acl_id": (33001,), "fw_ext_event": (33002,), "aaa_username": (40000,),
}  # fmt: skip
TEXTS = {
    "if_name",
    "if_descr",
    "sampler_name",
    "appl_name",
    "wlan_ssid",
    "vrfname",
    "selector_name",
    "application_category_name",
    "aaa_username",
}
ADDRESSES = {"nexthop", "nexthopv6", "bgpnexthop", "bgpnexthopv6", "srcprefix", "srcnet", "dstnet", "routersc"}
OCTETS = {"mpls_vpn_rd", "data_link_frame_section", "ingress_acl_id", "egress_acl_id"}
COMPARED = {element for elements in FIELDS.values() for element in elements}
MONTHS = {name: n for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}
SET = re.compile(r"(Flow)?Set \d+ \[id=(?P<id>\d+)\]")
_OPTIONS_TEMPLATE = re.compile(r"Options Template \(Id = (?P<id>\d+)\)")
RECORD = re.compile(r"(Flow|pdu) \d+")

Node = list[tuple[str, Any]]


def run(path: Path, dissector: str = "cflow") -> list:
    """tshark's JSON of a capture, every UDP destination port read as flow export.

    tshark reads only as many v9 records as the header's `count` says, and many exporters count FlowSets there:
    it is given the capture with `count` at its largest.
    """
    ports = sorted({d.port for d in datagrams(path)})
    forced = [word for port in ports for word in ("-d", f"udp.port=={port},{dissector}")]
    command = ["tshark", "-r", "-", "-n", *forced, "-J", f"frame udp {dissector}", "-T", "json"]
    environment = os.environ | {"TZ": "UTC", "LC_ALL": "C"}
    done = subprocess.run(command, input=uncounted(path), capture_output=True, check=True, env=environment)
    return _parse(done.stdout)


def uncounted(path: Path) -> bytes:
    """A capture, in which v9's counts are as high as can be: tshark stops at them. Files without packets become one."""
    if path.suffix != ".pcap":
        return wrapped((_uncounted(datagram.payload) for datagram in datagrams(path)), next(datagrams(path)).port)
    octets = path.read_bytes()
    for datagram in datagrams(path):
        octets = octets.replace(datagram.payload, _uncounted(datagram.payload), 1)
    return octets


def _uncounted(payload: bytes) -> bytes:
    return payload[:2] + b"\xff\xff" + payload[4:] if payload[:2] == b"\0\x09" else payload


def load(path: Path) -> list:
    """The same, made before and compressed."""
    with gzip.open(path) as file:
        return _parse(file.read())


def _parse(text: bytes) -> list:
    return json.loads(text, object_pairs_hook=_Pairs)


class _Pairs(list):
    """The members of one JSON object, in order and with repeated keys: tshark repeats them."""


def records(packets: list) -> dict[int, list[dict[Any, Any]]]:
    """Per frame number, the records in wire order.

    {element id: value}; under "start_ns" and "end_ns" all absolute times of the record, under "template" the id of the
    data set (0: none).
    """
    found: dict[int, list] = defaultdict(list)
    for packet in packets:
        layers = dict(dict(packet)["_source"])["layers"]
        frame = int(next(dict(value)["frame.number"] for key, value in layers if key == "frame"))
        for key, layer in layers:
            if key == "cflow" and isinstance(layer, list):
                found[frame] += [{"template": template, **_record(node)} for template, node in _record_nodes(layer)]
    return found


def counts(packets: list) -> dict[str, int]:
    """Export datagrams, templates and options templates that tshark saw."""
    result = {"datagrams": 0, "templates": 0, "options_templates": 0}
    for packet in packets:
        for key, layer in dict(dict(packet)["_source"])["layers"]:
            if key == "cflow" and isinstance(layer, _Pairs):
                result["datagrams"] += 1
                for set_key, body in layer:
                    if SET.match(set_key):
                        result["templates"] += sum(inner.startswith("Template (") for inner, _ in body)
                        result["options_templates"] += sum(inner.startswith("Options Template (") for inner, _ in body)
    return result


def options_ids(packets: list) -> set[int]:
    """Ids of all options templates in the capture."""
    return {
        int(found["id"])
        for packet in packets
        for key, layer in dict(dict(packet)["_source"])["layers"]
        if key == "cflow" and isinstance(layer, _Pairs)
        for set_key, body in layer
        if SET.match(set_key)
        for inner, _ in body
        if (found := _OPTIONS_TEMPLATE.match(inner))
    }


def _record_nodes(layer: Node) -> list[tuple[int, Node]]:
    """(template id, members) of each record."""
    nodes: list[tuple[int, Node]] = []
    for key, value in layer:
        if not isinstance(value, _Pairs):
            continue
        if found := SET.match(key):
            nodes += [(int(found["id"]), node) for inner, node in value if RECORD.match(inner) and isinstance(node, _Pairs)]
        elif RECORD.match(key):
            nodes.append((0, value))
    return nodes


def _record(node: Node) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in _leaves(node):
        name = key.removeprefix("cflow.")
        first = value[0] if isinstance(value, list) else value
        if name in FIELDS:
            found.setdefault(FIELDS[name][0], _value(name, first))
        elif name in ("abstimestart", "abstimeend"):
            times = found.setdefault("start_ns" if name.endswith("start") else "end_ns", [])
            times += map(_absolute_ns, value if isinstance(value, list) else [value])
        elif name in ("timestart", "timeend"):
            found.setdefault(22 if name.endswith("start") else 21, round(float(first) * 1000))
    return found


def _leaves(node: Node) -> list[tuple[str, Any]]:
    leaves = []
    for key, value in node:
        parts = [value] if isinstance(value, _Pairs) or not isinstance(value, list) else value
        if any(isinstance(part, _Pairs) for part in parts):
            # subtrees repeat or dissect further; of those under a field only the times are new
            if key == "cflow.timedelta_tree" or not key.startswith(("cflow.", "eth", "ip", "tcp", "udp")):
                leaves += [leaf for part in parts if isinstance(part, _Pairs) for leaf in _leaves(part)]
        else:
            leaves.append((key, value))
    return leaves


def _value(name: str, text: str) -> Any:
    if name in TEXTS or "mac" in name:
        return text
    if name in OCTETS:
        return bytes.fromhex(text.replace(":", ""))
    if name in ADDRESSES or ("addr" in name and name != "nat_originating_address_realm"):
        return str(ipaddress.ip_address(text))
    return int(text, 0)


def _absolute_ns(text: str) -> int:
    """`Oct 28, 2016 17:01:53.540641540 UTC`"""
    month, day, year, clock = text.removesuffix(" UTC").replace(",", "").split()
    whole, fraction = clock.split(".")
    hour, minute, second = map(int, whole.split(":"))
    stamp = datetime(int(year), MONTHS[month], int(day), hour, minute, second, tzinfo=UTC)
    return int(stamp.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))
