"""sFlow samples as tshark and sflowtool read them, under the column names of `wire`.

tshark 4.0 knows the interface counters and the usual flow records. Of the records that it does not know - of hosts, virtual machines,
applications - it only shows the octets, which are read here by the layouts of the registry; `sflowtool.py` has its own idea of them.
"""

import csv
import ipaddress
import struct
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from . import flows
from .capture import Datagram, wrapped
from .structure import Message
from .values import REGISTRY, registry

Values = dict[str, Any]
PORT = 6343


@dataclass
class Sample:
    """`records`: the sample's own fields, then those of each record that the oracle reads."""

    frame: int
    is_counters: bool
    records: list[Values] = field(default_factory=lambda: [{}])

    @property
    def key(self) -> tuple[int, bool, int, int, int]:
        """What finds the same sample among the rows of `wire`."""
        own = self.records[0]
        return self.frame, self.is_counters, own["sample_sequence"], own["ds_class"], own["ds_index"]


# tshark's names: columns of `wire`. By the format of the record where two records share a name.
_SAMPLE = {
    "sequence_number": "sample_sequence", "source_id_class": "ds_class", "source_id_type": "ds_class", "index": "ds_index",
    "source_id_index": "ds_index", "sampling_rate": "samplingInterval", "sample_pool": "sample_pool", "dropped_packets": "sample_drops",
}  # fmt: skip
TSHARK = {
    **{f"sflow.{kind}_sample.{name}": column for kind in ("flow", "counters") for name, column in _SAMPLE.items()},
    "sflow_245.header_protocol": "header_protocol", "sflow_245.header.frame_length": "frame_length",
    "sflow_245.header.payload_stripped": "stripped",
    "sflow_245.ethernet.length": "frame_length", "sflow_245.ethernet.packet_type": "ethernetType",
    "sflow_245.ethernet.source_mac_address": "sourceMacAddress", "sflow_245.ethernet.destination_mac_address": "destinationMacAddress",
    "sflow_245.ip.length": "ip_length", "sflow.ip_protocol": "protocolIdentifier", "sflow_245.ipv4_src": "sourceIPv4Address",
    "sflow_245.ipv4_dst": "destinationIPv4Address", "sflow_245.ip.source_port": "sourceTransportPort",
    "sflow.ip.destination_port": "destinationTransportPort",
    "sflow_245.vlan.in": "vlanId", "sflow_245.pri.in": "src_priority", "sflow_245.vlan.out": "postVlanId",
    "sflow_245.pri.out": "dst_priority",
    "sflow_245.nexthop": {1002: "ipNextHopIPv4Address", 1003: "bgpNextHopIPv4Address", 1006: "mplsTopLabelIPv4Address"},
    "sflow_245.nexthop.src_mask": "sourceIPv4PrefixLength", "sflow_245.nexthop.dst_mask": "destinationIPv4PrefixLength",
    "sflow_245.as": "gateway_as", "sflow_245.srcAS": "bgpSourceAsNumber", "sflow_245.peerAS": "bgpPrevAdjacentAsNumber",
    "sflow_245.localpref": "local_pref",
    "sflow_245.ifindex": "ifIndex", "sflow_245.iftype": "ifType", "sflow_245.ifspeed": "ifSpeed", "sflow_245.ifdirection": "ifDirection",
    "sflow_245.ifinoct": "ifInOctets", "sflow_245.ifinpkt": "ifInUcastPkts", "sflow_245.ifinmcast": "ifInMulticastPkts",
    "sflow_245.ifinbcast": "ifInBroadcastPkts", "sflow_245.ifindisc": "ifInDiscards", "sflow_245.ifinerr": "ifInErrors",
    "sflow_245.ifinunk": "ifInUnknownProtos", "sflow_245.ifoutoct": "ifOutOctets", "sflow_245.ifoutpkt": "ifOutUcastPkts",
    "sflow_245.ifoutmcast": "ifOutMulticastPkts", "sflow_245.ifoutbcast": "ifOutBroadcastPkts", "sflow_245.ifoutdisc": "ifOutDiscards",
    "sflow_245.ifouterr": "ifOutErrors", "sflow_245.ifpromisc": "ifPromiscuousMode",
    **{f"sflow_245.dot3Stats{name}": f"dot3Stats{name}" for name in (
        "AlignmentErrors", "FCSErrors", "SingleCollisionFrames", "MultipleCollisionFrames", "SQETestErrors", "DeferredTransmissions",
        "LateCollisions", "ExcessiveCollisions", "InternalMacTransmitErrors", "CarrierSenseErrors", "FrameTooLongs",
        "InternalMacReceiveErrors", "SymbolErrors",
    )},
    "sflow_5.cpu_5s": "cpu_5s", "sflow_5.cpu_1m": "cpu_1m", "sflow_5.cpu_5m": "cpu_5m", "sflow_5.total_memory": "total_memory",
    "sflow_5.free_memory": "free_memory",
    "sflow.lag_port.actor_system_id": "dot3adAggPortActorSystemID", "sflow.lag_port.attached_agg_id": "dot3adAggPortAttachedAggID",
    "sflow.lag_port.partner_oper_system_id": "dot3adAggPortPartnerOperSystemID",
    "sflow.lag_port.actor_admin_state": "dot3adAggPortActorAdminState", "sflow.lag_port.actor_oper_state": "dot3adAggPortActorOperState",
    "sflow.lag_port.partner_admin_state": "dot3adAggPortPartnerAdminState",
    "sflow.lag_port.partner_oper_state": "dot3adAggPortPartnerOperState",
    **{f"sflow.lag_port.{name}": f"dot3adAggPortStats{column}" for name, column in (
        ("lacpdus.rx", "LACPDUsRx"), ("marker_pdus.rx", "MarkerPDUsRx"), ("marker_response_pdus.rx", "MarkerResponsePDUsRx"),
        ("unknown.rx", "UnknownRx"), ("illegal.rx", "IllegalRx"), ("lacpdus.tx", "LACPDUsTx"), ("marker_pdus.tx", "MarkerPDUsTx"),
        ("marker_response_pdus.tx", "MarkerResponsePDUsTx"),
    )},
}  # fmt: skip
# the sampled packet, the first of its header each
PACKET = {
    "eth.dst": "destinationMacAddress", "eth.src": "sourceMacAddress", "ip.src": "sourceIPv4Address", "ip.dst": "destinationIPv4Address",
    "ip.dsfield": "ipClassOfService", "ip.ttl": "ipTTL", "ip.proto": "protocolIdentifier", "ip.id": "fragmentIdentification",
    "ip.frag_offset": "fragmentOffset", "ipv6.src": "sourceIPv6Address", "ipv6.dst": "destinationIPv6Address",
    "ipv6.tclass": "ipClassOfService", "ipv6.flow": "flowLabelIPv6", "ipv6.hlim": "ipTTL", "ipv6.nxt": "protocolIdentifier",
    "tcp.srcport": "sourceTransportPort", "tcp.dstport": "destinationTransportPort", "tcp.flags": "tcpControlBits",
    "udp.srcport": "sourceTransportPort", "udp.dstport": "destinationTransportPort",
}  # fmt: skip
NEEDED = {*PACKET, "", "eth.type", "llc.type", "vlan.id", "vlan.priority", "vlan.etype", "mpls.label", "mpls.exp", "mpls.bottom",
    "icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code", "ipv6.fraghdr.ident", "ipv6.fraghdr.offset", "ipv6.fraghdr.nxt",
    "ipv6.hopopts.nxt",
    "ipv6.routing.nxt", "ipv6.dstopts.nxt"}  # fmt: skip
# lengths, numbers of things and parts of what is compared as a whole
LENGTHS = {
    "sflow.enterprise", "sflow_245.sampletype", "sflow_5.sample_length", "sflow_5.flow_data_length", "sflow_245.flow_record_format",
    "sflow_245.counters_record_format", "sflow_245.header.sampled_header_length", "sflow.flow_sample.flow_record",
    "sflow.counters_sample.counters_records", "sflow.flow_sample.output_interface_format", "sflow.enterprise.length",
    "sflow.lag_port.padding", "sflow.lag_port.state", "sflow.lag_port.reserved", "sflow_245.dstASentries", "sflow_245.communityEntries",
    "sflow_245.extended_mpls.in_label_stack_entries", "sflow_245.extended_mpls.out_label_stack_entries",
}  # fmt: skip
_TCP_FLAGS = {f"sflow_245.ip.tcp_flag.{name}": bit for bit, name in enumerate(("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"))}
_TOS_BITS = {"precedence_type": 5, "delay": 4, "throughput": 3, "reliability": 2, "cost": 1}
_TOS = {f"sflow_245.ipv4_{name}": bit for name, bit in _TOS_BITS.items()}
COUNTERS_SAMPLES = (2, 4)
# where the records of a sample begin
RECORDS_AT = {1: 32, 2: 12, 3: 44, 4: 16}
# formats of records that tshark 4.0 reads; an enterprise number that nobody has
TSHARK_FLOWS, TSHARK_COUNTERS = {1, 2, 3, 4, *range(1001, 1015)}, {1, 2, 3, 4, 5, 6, 7, 1001, 1002}
FOREIGN = 0xFFFFF
# no streams of the packets are followed
_PLAIN = tuple(
    word for name in ("tcp.analyze_sequence_numbers", "tcp.calculate_timestamps", "ip.defragment") for word in ("-o", f"{name}:FALSE")
)


def flow(sample: Sample) -> Values:
    """As `flows` has it: the octets are those of the frame, or of the packet where the sample has no frame (FF-SF-05)."""
    shown = {column: value for record in reversed(sample.records) for column, value in record.items()}
    numbers = {name: number for (pen, number), (name, _) in registry().items() if not pen}
    elements = {numbers[column]: value for column, value in shown.items() if column in numbers}
    row = flows.row(elements, Message(Datagram(sample.frame, 0, "", 0, 0, b""), 10))
    octets = shown.get("frame_length", shown.get("ip_length"))
    return row | {"bytes": octets, "packets": 1, "sampling_rate": shown["samplingInterval"]}


class Unknown(Exception):
    """A field that this reader has no column for: it must be taught what to do with it."""


def by_tshark(datagrams: Iterable[Datagram]) -> list[Sample]:
    """All samples that tshark reads, in wire order. It has to know only the protocols of the headers, not what they carry."""
    frames = list(datagrams)
    samples: list[Sample] = []
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(wrapped((_readable(datagram.payload) for datagram in frames), PORT))
        file.flush()
        command = ["tshark", "-r", file.name, "-n", "-d", f"udp.port=={PORT},sflow", *_PLAIN, "-T", "pdml"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tshark:
            assert tshark.stdout
            for datagram, packet in zip(frames, _packets(tshark.stdout), strict=True):
                for layer in packet.iterfind("proto[@name='sflow']"):
                    samples += [_sample(datagram.frame, node) for node in layer if node.get("name") == "" and _is_known(node)]
    return samples


def _packets(pdml: Iterable[bytes]) -> Iterator[ET.Element]:
    """One element a packet. A line is an element without members, or begins or ends one: most are of fields that nobody asks for."""
    lines: list[bytes] = []
    for line in pdml:
        if b"<packet>" in line:
            lines = []
        if (
            not (line.lstrip().startswith(b"<field") and line.endswith(b"/>\n"))
            or line.split(b'"', 2)[1].decode() in NEEDED
            or b'"sflow' in line
        ):
            lines.append(line)
        if b"</packet>" in line:
            yield ET.fromstring(b"".join(lines))


def _readable(payload: bytes) -> bytes:
    """tshark goes on within a record whose format it does not know, but steps over one of an unknown enterprise: such it is given.

    It shows the octets of those; `_structure` reads them.
    """
    octets = bytearray(payload)
    offset = {1: 28, 2: 40}.get(int.from_bytes(payload[4:8]), len(payload))
    while offset + 8 <= len(octets):
        kind, length = struct.unpack_from(">II", octets, offset)
        at, end = offset + 8 + RECORDS_AT.get(kind, length), offset + 8 + length
        known = TSHARK_COUNTERS if kind in COUNTERS_SAMPLES else TSHARK_FLOWS
        while at + 8 <= min(end, len(octets)):
            tag, size = struct.unpack_from(">II", octets, at)
            if tag < 1 << 12 and tag not in known:
                struct.pack_into(">I", octets, at, FOREIGN << 12 | tag)
            at += 8 + size + -size % 4
        offset = end
    return bytes(octets)


def _structure(kind: str, number: int, octets: bytes) -> Values:
    """A structure by the registry's types (XDR: RFC 4506); what is left of one that ends early is not there."""
    found: Values = {}
    at = 0
    for column, form in _layouts().get((kind, number), ()):
        if form == "string":
            length = int.from_bytes(octets[at : at + 4])
            found[column] = octets[at + 4 : at + 4 + length].decode()
            at += 4 + length + -length % 4
        elif form == "rest":
            found[column], at = octets[at:], len(octets)
        elif octets[at : at + OCTETS[form]]:
            value, at = octets[at : at + OCTETS[form]], at + OCTETS[form]
            found[column] = READ.get(form, int.from_bytes)(value)
    return found


OCTETS = {"u32": 4, "u32?": 4, "u64": 8, "ipv4": 4, "ipv6": 16, "f32": 4, "uuid": 16}
READ: dict[str, Callable[[bytes], Any]] = {
    "ipv4": lambda octets: str(ipaddress.IPv4Address(octets)), "ipv6": lambda octets: str(ipaddress.IPv6Address(octets)),
    "f32": lambda octets: struct.unpack(">f", octets)[0], "uuid": bytes,
}  # fmt: skip


def columns_of(kind: str, number: int) -> tuple[str, ...]:
    """Columns of a structure in wire order."""
    return tuple(column for column, _ in _layouts()[kind, number])


@cache
def _layouts() -> dict[tuple[str, int], tuple[tuple[str, str], ...]]:
    """(column, type) of the structures, by kind and format."""
    found: dict[tuple[str, int], tuple[tuple[str, str], ...]] = {}
    with (REGISTRY / "sflow-fields.csv").open() as file:
        for row in csv.DictReader(file):
            key = row["kind"], int(row["tag"])
            found[key] = (*found.get(key, ()), (row["field"], row["type"]))
    return found


def _is_known(sample: ET.Element) -> bool:
    """Whether tshark reads this type of sample: discarded packets (5) it does not."""
    return any(leaf.get("name", "").endswith("_sample.sequence_number") for leaf in sample)


def _sample(frame: int, node: ET.Element) -> Sample:
    kind = next(int(leaf.attrib["show"]) for leaf in node if leaf.get("name") == "sflow_245.sampletype")
    sample = Sample(frame, kind in COUNTERS_SAMPLES)
    own = sample.records[0]
    interfaces: dict[str, int] = {}
    for leaf in node:
        name = leaf.attrib["name"]
        if name == "":
            if values := _record(leaf, sample.is_counters):
                sample.records.append(values)
        elif name.startswith(("sflow.flow_sample.input_interface", "sflow.flow_sample.output_interface")):
            interfaces[name.removeprefix("sflow.flow_sample.")] = int(leaf.attrib["show"], 0)
        elif name not in LENGTHS:
            own[_column(name, 0)] = _value(leaf)
    for side in ("input", "output"):
        if f"{side}_interface" in interfaces:
            word = interfaces[f"{side}_interface"]
            own |= interface(side, word >> 30, word & 0x3FFFFFFF)
        elif f"{side}_interface_value" in interfaces:
            kind = interfaces.get(f"{side}_interface_format", interfaces.get(f"{side}_interface.format", 0))
            own |= interface(side, kind, interfaces[f"{side}_interface_value"])
    return sample


def interface(side: str, kind: int, value: int) -> Values:
    """Only format 0 is an ifIndex (spec 2.15.2)."""
    short, column = ("in", "ingressInterface") if side == "input" else ("out", "egressInterface")
    return {f"{short}_format": kind, (column if kind == 0 else f"{short}_value"): value}


def _record(node: ET.Element, is_counters: bool) -> Values:
    found: Values = {}
    if (first := next(iter(node), None)) is not None and node.get("show") == "Unknown enterprise format":
        data = next((bytes.fromhex(leaf.get("value", "")) for leaf in node if leaf.get("name") == "sflow.enterprise.data"), b"")
        enterprise, number = divmod(int(first.attrib["unmaskedvalue"], 16), 1 << 12)
        return _structure("counter" if is_counters else "flow", number, data) if enterprise == FOREIGN else {}
    formats = [int(leaf.attrib["show"]) for leaf in node if leaf.get("name", "").endswith("_record_format")]
    number = formats[0] if formats else 0
    length = 0
    for leaf in [part for whole in node for part in (whole.iter() if whole.get("name") == "sflow.lag_port.state" else (whole,))]:
        name = leaf.attrib["name"]
        if name == "sflow_245.header.sampled_header_length":
            length = int(leaf.attrib["show"])
        elif name == "sflow_245.header":
            found["dataLinkFrameSection"] = bytes.fromhex(leaf.get("value", ""))[:length]  # it shows XDR's padding too
            found |= _packet(leaf)
        elif name in _TCP_FLAGS:
            found["tcpControlBits"] = found.get("tcpControlBits", 0) | int(leaf.attrib["show"]) << _TCP_FLAGS[name]
        elif name in _TOS:
            found["ipClassOfService"] = found.get("ipClassOfService", 0) | int(leaf.attrib["show"]) << _TOS[name]
        elif name in ("sflow_245.ifadmin_status", "sflow_245.ifoper_status"):
            found["ifStatus"] = found.get("ifStatus", 0) | int(leaf.attrib["show"]) << (name == "sflow_245.ifoper_status")
        elif name == "sflow.as_type":
            found["as_path"] = found.get("as_path", b"") + bytes.fromhex(leaf.attrib["value"]) + (numbers := _words(leaf))
            if numbers:
                found.setdefault("bgpNextAdjacentAsNumber", int.from_bytes(numbers[:4]))
                found["bgpDestinationAsNumber"] = int.from_bytes(numbers[-4:])
        elif name == "sflow_245.communityEntries":
            found["communities"] = _words(leaf)
        elif (text := leaf.attrib["show"]) in ("In Label Stack", "Out Label Stack"):
            found[f"mpls_{text.split()[0].lower()}_stack"] = _words(leaf)
        elif name not in LENGTHS:
            found[_column(name, number)] = _value(leaf)
    return found


def _words(node: ET.Element) -> bytes:
    return b"".join(bytes.fromhex(leaf.attrib["value"]) for leaf in node if leaf.get("name") not in LENGTHS)


def _packet(header: ET.Element) -> Values:
    """What tshark's dissectors find in the sampled octets, down to the first transport header."""
    found: Values = {}
    tags, ip_version = 0, 0
    for layer in header:
        protocol = layer.get("name", "")
        values = {leaf.attrib["name"]: leaf for leaf in layer.iter("field") if leaf.get("name")}
        if protocol in ("ip", "ipv6"):
            if ip_version:
                raise Unknown("IP in IP")
            ip_version = 6 if protocol == "ipv6" else 4
        for name, leaf in values.items():
            if name in PACKET and not protocol.startswith("icmp"):
                found.setdefault(PACKET[name], _value(leaf))
        if protocol == "vlan":
            tag = ("dot1q", "dot1qCustomer")[tags]
            found |= {f"{tag}VlanId": _value(values["vlan.id"]), f"{tag}Priority": _value(values["vlan.priority"])}
            tags += 1
        for name in ("eth.type", "vlan.etype", "llc.type"):
            if name in values:
                found["ethernetType"] = _value(values[name])
        if protocol == "mpls":
            number = sum(column.startswith("mpls") for column in found)
            label, exp, bottom = (_value(values[f"mpls.{name}"]) for name in ("label", "exp", "bottom"))
            found[f"{MPLS_COLUMNS[number]}"] = (label << 4 | exp << 1 | bottom).to_bytes(3)
        if protocol == "ipv6":
            _extensions(layer, found)
        if protocol in ("icmp", "icmpv6") and f"{protocol}.code" in values:
            column = "icmpTypeCodeIPv4" if protocol == "icmp" else "icmpTypeCodeIPv6"
            first = {leaf.attrib["name"]: leaf for leaf in layer if leaf.tag == "field"}
            found[column] = _value(first[f"{protocol}.type"]) << 8 | _value(first[f"{protocol}.code"])
        if protocol in ("tcp", "udp", "icmp", "icmpv6"):
            break  # what it carries, an error's packet too, is not the sampled packet's own header
    return found


MPLS_COLUMNS = ("mplsTopLabelStackSection", *(f"mplsLabelStackSection{number}" for number in range(2, 11)))


def _extensions(layer: ET.Element, found: Values) -> None:
    """The protocol is that behind all extension headers (RFC 8200 section 4)."""
    for header in layer.iter("proto"):
        names = {leaf.get("name"): leaf for leaf in header}
        for name, leaf in names.items():
            if name and name.endswith(".nxt") and name != "ipv6.nxt":
                found["protocolIdentifier"] = _value(leaf)
        if "ipv6.fraghdr.ident" in names:
            found["fragmentIdentification"] = _value(names["ipv6.fraghdr.ident"])
            found["fragmentOffset"] = _value(names["ipv6.fraghdr.offset"])


def _column(name: str, record: int) -> str:
    column = TSHARK.get(name)
    if isinstance(column, dict):
        column = column.get(record)
    if column is None:
        raise Unknown(f"{name} in record {record}")
    return column


def _value(leaf: ET.Element) -> Any:
    text = leaf.attrib["show"]
    return text if "." in text or ":" in text else int(text, 0)
