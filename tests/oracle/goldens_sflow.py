"""What other projects expect of the sFlow captures that they ship, under the column names of `wire`."""

import ipaddress
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import snapshot
from .golden import Unknown
from .sflow import COUNTERS_SAMPLES, Sample, Values, columns_of, interface

# -- tcpdump: one line a structure; of counters it prints every field in wire order

_FRAME = re.compile(r" +(\d+)  \d{4}-")
_RECORD = re.compile(r"enterprise (\d+),? .*\((\d+)\) length \d+")
_SAMPLE = re.compile(r"(expanded )?(flow|counter) sample \((\d+)\)")
_HEADER = re.compile(r"protocol .* \((\d+)\), length (\d+), stripped bytes (\d+), header_size")
# formats whose fields it prints
_COUNTERS = (1, 2)


def tcpdump(path: Path) -> Iterator[Sample]:
    """The samples of a `-v` print."""
    frame, sample, counters = 0, None, 0
    for line in path.read_text().splitlines():
        if found := _FRAME.match(line):
            frame = int(found[1])
        elif found := _SAMPLE.search(line):
            if sample:
                yield sample
            sample, counters = _tcpdump_sample(frame, int(found[3]), line), 0
        elif sample and (found := _RECORD.search(line)):
            counters = int(found[2]) if sample.is_counters and int(found[2]) in _COUNTERS else 0
            sample.records.append({})
        elif sample and (found := _HEADER.search(line)):
            names = ("header_protocol", "frame_length", "stripped")
            sample.records[-1] |= {name: int(number) for name, number in zip(names, found.groups(), strict=True)}
        elif sample and counters:
            _add_counters(sample.records[-1], columns_of("counter", counters), line)
    if sample:
        yield sample


def _tcpdump_sample(frame: int, kind: int, line: str) -> Sample:
    sample = Sample(frame, kind in COUNTERS_SAMPLES)
    names = {"seqnum": "sample_sequence", "type": "ds_class", "idx": "ds_index", "rate": "samplingInterval", "pool": "sample_pool",
        "drops": "sample_drops"}  # fmt: skip
    sample.records[0] |= {names[name]: int(number) for name, number in re.findall(r"(\w+) (\d+)(?=,)", line) if name in names}
    for side, value, form in re.findall(r"(input|output) (\d+) \((\d+)\)", line):
        sample.records[0] |= interface(side, int(form), int(value))
    return sample


def _add_counters(record: Values, columns: tuple[str, ...], line: str) -> None:
    if found := re.search(r"ifstatus (\d+)", line):
        numbers = [int(found[1])]  # and its two bits in words
    else:
        numbers = [int(number) for number in re.findall(r"\b(\d+)\b(?!-)", re.sub(r"\(.*?\)", "", line))]
    record |= dict(zip(columns[len(record) :], numbers, strict=False))


# -- flowparser: snapshots of its structures, whose fields stand in wire order

_KINDS = {"Counter": True, "ExpandedCounter": True, "Flow": False, "ExpandedFlow": False}
_COUNTER_RECORDS = {
    "GenericInterface": 1, "HostDescr": 2000, "HostParent": 2002, "HostCpu": 2003, "HostMemory": 2004, "HostDiskIo": 2005,
    "HostNetIo": 2006, "VirtCpu": 2101, "VirtMemory": 2102, "VirtDiskIo": 2103, "VirtNetIo": 2104,
}  # fmt: skip
_WORDS = {"machine_type": {"Unknown": 0, "X86_64": 3}, "os_name": {"Unknown": 0, "Linux": 2}, "state": {"Blocked": 2}}
# of vendors, which flowfast skips, and a list that it keeps as octets
_NOT_COMPARED = ("XenVif", "HostAdapters")


def flowparser(path: Path) -> Iterator[Sample]:
    """The samples of a snapshot; its captures have one datagram."""
    for frame, datagram in enumerate(snapshot.load(path)["datagrams"], 1):
        for ((kind, shown),) in (sample.items() for sample in datagram["samples"]):
            sample = Sample(frame, _KINDS[kind])
            sample.records[0] |= {"sample_sequence": shown["sequence_number"], "ds_class": shown["source_id_type"],
                "ds_index": shown["source_id_index"]}  # fmt: skip
            for ((name, fields),) in (record.items() for record in shown["records"]):
                if name not in _NOT_COMPARED:
                    columns = columns_of("counter", _COUNTER_RECORDS[name])
                    values = [_of_flowparser(field, value) for field, value in fields.items()]
                    sample.records.append(dict(zip(columns, values, strict=False)))  # those that came later may be absent
            yield sample


def _of_flowparser(name: str, value: Any) -> Any:
    if name == "uuid":
        return uuid.UUID(value).bytes
    if name.startswith("load_"):
        return float(value)
    return _WORDS[name][value] if name in _WORDS else value


# -- telegraf: InfluxDB's line protocol, a line a sample

_TELEGRAF = {
    "sampling_interval": "samplingInterval", "in_total_packets": "sample_pool", "sampling_drops": "sample_drops",
    "in_snmp": "ingressInterface", "out_snmp": "egressInterface", "out_queue": "egress_queue", "l2_bytes": "frame_length",
    "in_src_mac": "sourceMacAddress", "out_dst_mac": "destinationMacAddress", "src_tos": "ipClassOfService", "ttl": "ipTTL",
    "ipv4_id": "fragmentIdentification", "src_port": "sourceTransportPort", "dst_port": "destinationTransportPort",
    "vlan_src": "vlanId", "vlan_dst": "postVlanId", "vlan_src_priority": "src_priority", "vlan_dst_priority": "dst_priority",
    "reason": "discard_reason", "interface": "ifIndex", "interface_type": "ifType", "speed": "ifSpeed", "in_bytes": "ifInOctets",
    "in_unicast_packets_total": "ifInUcastPkts", "in_mcast_packets_total": "ifInMulticastPkts",
    "in_broadcast_packets_total": "ifInBroadcastPkts", "in_dropped_packets": "ifInDiscards", "in_errors": "ifInErrors",
    "in_unknown_protocol": "ifInUnknownProtos", "out_bytes": "ifOutOctets", "out_unicast_packets_total": "ifOutUcastPkts",
    "out_mcast_packets_total": "ifOutMulticastPkts", "out_broadcast_packets_total": "ifOutBroadcastPkts",
    "out_dropped_packets": "ifOutDiscards", "out_errors": "ifOutErrors", "promiscuous": "ifPromiscuousMode", "port_name": "interfaceName",
    "errors_alignment": "dot3StatsAlignmentErrors", "errors_fcs": "dot3StatsFCSErrors",
    "collision_frames_single": "dot3StatsSingleCollisionFrames", "collision_frames_multi": "dot3StatsMultipleCollisionFrames",
    "errors_sqetest": "dot3StatsSQETestErrors", "deferred": "dot3StatsDeferredTransmissions", "collisions_late": "dot3StatsLateCollisions",
    "collisions_excessive": "dot3StatsExcessiveCollisions", "errors_internal_mac_tx": "dot3StatsInternalMacTransmitErrors",
    "errors_carrier_sense": "dot3StatsCarrierSenseErrors", "errors_frame_too_long": "dot3StatsFrameTooLongs",
    "errors_internal_mac_rx": "dot3StatsInternalMacReceiveErrors", "errors_symbols": "dot3StatsSymbolErrors",
}  # fmt: skip
# lengths and words that it makes of several fields, and the datagram's own
_TELEGRAF_OWN = {"agent_ip", "agent_subid", "sys_uptime", "ip_version", "direction", "type", "status", "datalink_frame_type", "l2_protocol",
    "fragment_flags", "fragment_offset", "ip_total_len", "ipv4_total_len", "ipv6_total_len",
    "ipv4_inet_header_len", "seq_number"}  # fmt: skip
_PROTOCOLS = {"tcp": 6, "udp": 17, "hopopt": 0}
_COUNTERS_INTERFACE = "interface"


def telegraf(path: Path) -> Iterator[Values]:
    """What each line says of a sample: which sample it is of, it does not say."""
    for line in filter(None, path.read_text().splitlines()):
        _, fields = line.split(" ", 1)
        shown = {name: text or (int(number) if number else "") for name, text, number in re.findall(r'(\w+)=(?:"([^"]*)"|(\d+)u)', fields)}
        yield dict(_of_telegraf(name, value, shown) for name, value in shown.items() if name not in _TELEGRAF_OWN and _is_sent(name, shown))


def _is_sent(name: str, shown: Values) -> bool:
    """It repeats the interface of counters under the name of that of flows."""
    return name != "in_snmp" or _COUNTERS_INTERFACE not in shown


def _of_telegraf(name: str, value: Any, shown: Values) -> tuple[str, Any]:
    if name in ("src", "dst"):
        side = "source" if name == "src" else "destination"
        return f"{side}IPv{ipaddress.ip_address(shown[name]).version}Address", value
    if name == "protocol":
        return "protocolIdentifier", _PROTOCOLS[value]
    if name not in _TELEGRAF:
        raise Unknown(name)
    return _TELEGRAF[name], value
