"""sflowtool as an oracle of sFlow: its JSON, made before (`golden/_oracle`), under the column names of `wire`.

It knows what tshark 4.0 does not: records of hosts, virtual machines and applications, LAG and OpenFlow ports, discarded packets.
"""

import csv
import gzip
import ipaddress
import json
import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .sflow import COUNTERS_SAMPLES, Sample, Values, interface
from .values import REGISTRY

_SAMPLE = {"sampleSequenceNo": "sample_sequence", "meanSkipCount": "samplingInterval", "samplePool": "sample_pool",
    "dropEvents": "sample_drops", "discardCode": "discard_reason", "discardReason": "discard_reason_name"}  # fmt: skip
# Records whose fields it names otherwise or in another order than they are sent. The others it prints in wire order.
_NAMED = {
    "0:1": {
        "headerProtocol": "header_protocol", "sampledPacketSize": "frame_length", "strippedBytes": "stripped",
        "headerBytes": "dataLinkFrameSection", "dstMAC": "destinationMacAddress", "srcMAC": "sourceMacAddress",
        "decodedVLAN": "dot1qVlanId", "decodedPriority": "dot1qPriority", "ethernet_type": "ethernetType", "srcIP": "sourceIPv4Address",
        "dstIP": "destinationIPv4Address", "srcIP6": "sourceIPv6Address", "dstIP6": "destinationIPv6Address",
        "IPProtocol": "protocolIdentifier", "IPTOS": "ipClassOfService", "IPTTL": "ipTTL", "IPID": "fragmentIdentification",
        "IP6_label": "flowLabelIPv6", "TCPSrcPort": "sourceTransportPort", "TCPDstPort": "destinationTransportPort",
        "UDPSrcPort": "sourceTransportPort", "UDPDstPort": "destinationTransportPort", "TCPFlags": "tcpControlBits",
    },
    "0:2": {"ethernet_len": "frame_length", "ethernet_src": "sourceMacAddress", "ethernet_dst": "destinationMacAddress",
        "ethernet_type": "ethernetType"},
    "0:3": {"IPSize": "ip_length", "IPProtocol": "protocolIdentifier", "srcIP": "sourceIPv4Address", "dstIP": "destinationIPv4Address",
        "TCPSrcPort": "sourceTransportPort", "TCPDstPort": "destinationTransportPort", "TCPFlags": "tcpControlBits",
        "IPTOS": "ipClassOfService"},
    "0:1002": {"nextHop": "ipNextHopIPv4Address", "srcSubnetMask": "sourceIPv4PrefixLength",
        "dstSubnetMask": "destinationIPv4PrefixLength"},
    "0:1003": {"bgp_nexthop": "bgpNextHopIPv4Address", "my_as": "gateway_as", "src_as": "bgpSourceAsNumber",
        "src_peer_as": "bgpPrevAdjacentAsNumber", "dst_as": "bgpDestinationAsNumber", "dst_peer_as": "bgpNextAdjacentAsNumber",
        "BGP_communities": "communities", "BGP_localpref": "local_pref"},
    "0:1006": {"mpls_nexthop": "mplsTopLabelIPv4Address", "mpls_input_stack": "mpls_in_stack", "mpls_output_stack": "mpls_out_stack"},
    "0:2206": {"http_method": "http_method", "http_protocol": "http_protocol", "http_uri": "http_request_uri",
        "http_host": "http_request_host", "http_referrer": "http_referer", "http_useragent": "http_useragent", "http_xff": "http_xff",
        "http_authuser": "http_authuser", "http_mimetype": "http_mime_type", "http_request_bytes": "http_req_bytes",
        "http_bytes": "http_resp_bytes", "http_duration_uS": "http_duration_us", "http_status": "http_status"},
}  # fmt: skip
# what it makes of the packet's own lengths, and its words for things
_NOT_COMPARED = {"flowSampleType", "sampledPacketSize", "extendedType", "discarded_extendedType", "headerLen",
    "IPSize", "ip.tot_len", "IPV6_payloadLen",
    "UDPBytes", "ICMPType", "ICMPCode", "IP6HeaderExtension", "dst_as_path", "ip_fragmentOffset", "nextHeader"}  # fmt: skip
_HUNDREDTHS = {"cpu_5s", "cpu_1m", "cpu_5m", "part_max_used"}
_STACK = re.compile(r"(\d+)\.(\d+)\.(\d+)\.(\d+)")


def samples(path: Path, frames: list[int]) -> Iterator[Sample]:
    """The samples of each datagram that it could read, which stand one after the other in the file; it may stop within the last."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    decoder, at = json.JSONDecoder(strict=False), 0
    for frame in frames:
        while at < len(text) and text[at].isspace():
            at += 1
        try:
            datagram, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return
        for sample in datagram["samples"]:
            yield _sample(frame, sample)


def _sample(frame: int, shown: dict[str, Any]) -> Sample:
    sample = Sample(frame, int(shown["sampleType_tag"].split(":")[1]) in COUNTERS_SAMPLES)
    own = sample.records[0]
    own["ds_class"], own["ds_index"] = map(int, shown["sourceId"].split(":"))
    for name, column in _SAMPLE.items():
        if name in shown:
            own[column] = shown[name] if name == "discardReason" else int(shown[name])
    for side in ("input", "output"):
        if f"{side}Port" in shown:
            found = _interface(side, shown[f"{side}Port"])
            own |= {c: v for c, v in found.items() if "discardCode" not in shown or not c.endswith("_format")}
    sample.records += [values for element in shown["elements"] if (values := _record(element))]
    return sample


def _interface(side: str, text: str) -> Values:
    kind, _, number = text.rpartition(" ")
    return interface(side, {"": 0, "dropCode": 1, "multiple": 2}[kind], int(number))


@cache
def _registry() -> dict[tuple[str, str], tuple[str, ...]]:
    """Columns of a structure of sFlow's own (enterprise 0) in wire order, by kind and tag."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    with (REGISTRY / "sflow-fields.csv").open() as file:
        for row in csv.DictReader(file):
            key = row["kind"], f"0:{row['tag']}"
            found[key] = (*found.get(key, ()), row["field"])
    return found


def _record(element: dict[str, Any]) -> Values:
    kind = "counter" if "counterBlock_tag" in element else "flow"
    tag = element.get("counterBlock_tag") or element.get("flowBlock_tag") or element["discarded_flowBlock_tag"]
    shown = {name: value for name, value in element.items() if not name.endswith("Block_tag")}
    if kind == "flow" and tag in _NAMED:
        names = _NAMED[tag]
        unknown = shown.keys() - names.keys() - _NOT_COMPARED
        assert not unknown, (tag, unknown)
        found = {column: _value(column, shown[name]) for name, column in names.items() if name in shown}
        if "fragmentIdentification" in found:  # printed in the byte order of the machine it ran on
            found["fragmentIdentification"] = int.from_bytes(found["fragmentIdentification"].to_bytes(2), "little")
        if "ICMPType" in shown and "ICMPCode" in shown:
            found["icmpTypeCodeIPv4" if "srcIP" in shown else "icmpTypeCodeIPv6"] = int(shown["ICMPType"]) << 8 | int(shown["ICMPCode"])
        return found
    if "adaptor_list" in shown:
        return {"host_adapters": _adapters(shown["adaptor_list"])}
    values = [value for name, value in shown.items() if name not in _NOT_COMPARED]
    columns = _registry().get((kind, tag), ())
    return {column: _value(column, value) for column, value in zip(columns, values, strict=False)}


def _value(column: str, text: str) -> Any:  # noqa: PLR0911 - one line a form
    """Numbers, addresses and octets; everything else is text."""
    if column in _HUNDREDTHS:
        return round(float(text) * 100)
    if column.startswith("load_"):
        return float(text)
    if column in ("dataLinkFrameSection", "host_uuid"):
        return bytes.fromhex(text.replace("-", ""))
    if "MacAddress" in column or column.endswith("SystemID"):
        return bytes.fromhex(text).hex(":")
    if "Address" in column or column.endswith(("_ipv4", "_addr")):
        return str(ipaddress.ip_address(text))
    if column == "communities":
        return b"".join(struct.pack(">I", int(number)) for number in text.split("-"))
    if column.endswith("_stack"):
        entries = (map(int, entry) for entry in _STACK.findall(text))
        return b"".join(struct.pack(">I", label << 12 | exp << 9 | bottom << 8 | ttl) for label, exp, bottom, ttl in entries)
    try:
        return int(text, 0)
    except ValueError:
        return text


def _adapters(adapters: list[dict[str, Any]]) -> bytes:
    """The structure again (sFlow host structures, host_adapters): each address in 8 octets."""
    octets = struct.pack(">I", len(adapters))
    for adapter in adapters:
        octets += struct.pack(">II", int(adapter["ifIndex"]), int(adapter["MACs"]))
        octets += b"".join(bytes.fromhex(mac).ljust(8, b"\0") for mac in adapter["mac_list"])
    return octets
