"""What other projects expect of the captures that they ship: a reader for the format of each, to rows under the column names of `wire`.

A value of type `bytes` stands for the octets of the field, whatever its type.
"""

import csv
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from . import snapshot, values
from .structure import NETFLOW9, Element, Field

Row = dict[str, Any]


class Unknown(Exception):
    """A name or value that these readers must be taught."""


@dataclass(frozen=True)
class Expected:
    """`count`: of all records, options data too, if it is told; `rows`: those that are shown, by their place among all."""

    count: int | None
    rows: dict[int, Row]

    @classmethod
    def of_all(cls, rows: Iterable[Row]) -> "Expected":
        shown = dict(enumerate(rows))
        return cls(len(shown), shown)


def read(project: str, path: Path) -> Expected | None:
    """None: the file tells of no record's values (templates, a configuration, a message put together again)."""
    return READERS[project](path)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


@cache
def _columns() -> dict[str, str]:
    """Columns by the letters of what elements are called, in NetFlow v9 and in the registries."""
    found = {_letters(name): name for name, _ in values.registry().values()}
    with (values.REGISTRY / "netflow9-fields.csv").open() as file:
        for row in csv.DictReader(file):
            found[_letters(row["v9_name"])] = _column(0, int(row["id"]), NETFLOW9)
    return found


def _column(pen: int, number: int, version: int = 10) -> str:
    return values.describe(Field(Element(pen, number), 4), version)[0]


# elements that a project calls neither as Cisco nor as IANA do
_OWN_NAMES = {
    "srctos": "ipClassOfService", "ciscoclientipv4address": "clientIPv4Address", "ciscoserveripv4address": "serverIPv4Address",
    "ciscoserverl4port": "serverTransportPort", "ciscoserviceswaassegment": "servicesWaasSegment",
    "ciscoserviceswaaspassthroughreason": "servicesWaasPassThroughReason",
}  # fmt: skip


def _named(name: str) -> str:
    letters = _letters(name)
    if (column := _OWN_NAMES.get(letters) or _columns().get(letters)) is None:
        raise Unknown(name)
    return column


def _time_ns(text: str) -> int:
    """RFC 3339, of any precision."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()) * 10**9 + int(f"{fraction:0<9}")


def _address(text: str) -> str:
    """Python's spelling of an address."""
    return str(ipaddress.ip_address(text))


_TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
# as the projects spell what IANA's registries call them
_PROTOCOLS = {
    "hopopt": 0, "icmp": 1, "ipv4": 4, "tcp": 6, "egp": 8, "udp": 17, "ipv6": 41, "ipv6icmp": 58, "anydistributedprotocol": 61,
    "ospfigp": 89, "vrrp": 112,
}  # fmt: skip
_NUMBERS: dict[str, dict[str, int]] = {
    "protocolIdentifier": _PROTOCOLS,
    "flowEndReason": {"idletimeout": 1, "activetimeout": 2, "endofflow": 3},
    "flowDirection": {"ingress": 0, "egress": 1},
    "mplsTopLabelType": {"unknown": 0, "bgp": 4, "ldp": 5},
    "selectorAlgorithm": {"randomnoutofnsampling": 3},
    "ipVersion": {"ipv4": 4, "ipv6": 6},
}


def _number(column: str, text: str) -> int:
    try:
        return _NUMBERS[column][_letters(text)]
    except KeyError:
        raise Unknown(f"{text} of {column}") from None


# -- netgauze: JSON, a line a message

_FORWARDING = {"Unknown": 0, "Forwarded": 1, "Dropped": 2, "Consumed": 3}
_REASONS = {("Forwarded", "Unknown"): 0, ("Consumed", "Forus"): 3}
_HUAWEI = 2011


def netgauze(path: Path) -> Expected:
    return Expected.of_all(_netgauze(path))


def _netgauze(path: Path) -> Iterator[Row]:
    for line in path.read_text().splitlines():
        ((_, message),) = json.loads(line).items()
        for data in (kind["Data"] for kind in message["sets"] if "Data" in kind):
            for record in data["records"]:
                row: Row = {}
                for field in record["scope_fields"] + record["fields"]:
                    ((name, value),) = field.items()
                    if name != "paddingOctets":
                        _add(row, *_of_netgauze(name, value))
                yield row


def _add(row: Row, column: str, value: Any) -> None:
    """The second of an element has a 2 at its name."""
    if column in row:
        column = f"{column}_{sum(name.rpartition('_')[0] == column for name in row) + 2}"
    row[column] = value


def _of_netgauze(name: str, value: Any) -> tuple[str, Any]:  # noqa: PLR0911 - one line a kind
    if name == "Huawei":
        return _column(_HUAWEI, value["Unknown"]["id"]), bytes(value["Unknown"]["value"])
    column = _named(name)
    if isinstance(value, list):
        return column, bytes(value)
    if column == "tcpControlBits":
        return column, sum(1 << bit for bit, flag in enumerate(_TCP_FLAGS) if value[flag.upper()])
    if column == "forwardingStatus":
        ((status, reason),) = value.items()
        number = reason["Unassigned"] if isinstance(reason, dict) else _REASONS[status, reason]
        return column, _FORWARDING[status] << 6 | number
    if isinstance(value, dict):
        return column, value["Unassigned"]
    if isinstance(value, str) and column in _NUMBERS:
        return column, _number(column, value)
    if not isinstance(value, str):
        return column, value
    return column, _time_ns(value) if "Milliseconds" in column else _address(value) if column.endswith("Address") else value


# -- netflow_parser: snapshots of its structures

_FIXED = {
    "src_addr": "sourceIPv4Address", "dst_addr": "destinationIPv4Address", "next_hop": "ipNextHopIPv4Address", "input": "ingressInterface",
    "output": "egressInterface", "d_pkts": "packetDeltaCount", "d_octets": "octetDeltaCount", "first": "flowStartSysUpTime",
    "last": "flowEndSysUpTime", "src_port": "sourceTransportPort", "dst_port": "destinationTransportPort", "tcp_flags": "tcpControlBits",
    "protocol_number": "protocolIdentifier", "tos": "ipClassOfService", "src_as": "bgpSourceAsNumber", "dst_as": "bgpDestinationAsNumber",
    "src_mask": "sourceIPv4PrefixLength", "dst_mask": "destinationIPv4PrefixLength", "flags_fields_valid": "flags1",
    "flags_fields_invalid": "drops", "pad2": "drops", "router_src": "ipv4RouterSc",
}  # fmt: skip
_SCOPES = {"System": "scope_system", "Interface": "scope_interface", "LineCard": "scope_line_card", "NetFlowCache": "scope_cache",
    "Template": "scope_template"}  # fmt: skip


def netflow_parser(path: Path) -> Expected | None:
    messages = snapshot.load(path)
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    return Expected.of_all(row for message in messages for row in _netflow_parser(message))


def _netflow_parser(message: dict[str, Any]) -> Iterator[Row]:
    ((version, content),) = message.items()
    if version in ("V5", "V7"):
        for flow in content["flowsets"]:
            yield {_FIXED[name]: value for name, value in flow.items() if name in _FIXED}
    elif version in ("V9", "IPFix"):
        bodies = [flowset["body"] for flowset in content["flowsets"] if isinstance(flowset["body"], dict)]
        for record in (record for body in bodies for kind, data in body.items() if kind.endswith("Data") for record in data["fields"]):
            yield _of_netflow_parser(record)


def _of_netflow_parser(record: Any) -> Row:
    row: Row = {}
    if isinstance(record, dict):  # of v9's options data
        for scope in record["scope_fields"]:
            ((name, octets),) = scope.items()
            _add(row, _SCOPES[name], bytes(octets))
        record = record["options_fields"]
    for name, value in record:
        match name:
            case {"Enterprise": {"enterprise_number": pen, "field_number": number}}:
                column = _column(pen, number)
            case {"IanaAssigned": number}:
                column = _column(0, number, NETFLOW9)
            case {"IANA": text} | {"Cisco": text} | str(text):
                column = _named(text)
        _add(row, column, _value_of_netflow_parser(column, value))
    return row


def _value_of_netflow_parser(column: str, typed: dict[str, Any]) -> Any:  # noqa: PLR0911 - one line a kind
    ((kind, value),) = typed.items()
    match kind:
        case "DataNumber":
            return next(iter(value.values()))
        case "Vec":
            return bytes(value)
        case "ProtocolType" | "FlowEndReason":
            return _number(column, value)
        case "TcpControlBits":
            return sum(1 << bit for bit, flag in enumerate((*_TCP_FLAGS, "ns")) if value[flag])
        case "Duration":  # of relative times in milliseconds
            nanoseconds = value["secs"] * 10**9 + value["nanos"]
            return nanoseconds // 10**6 if "SysUpTime" in column else nanoseconds
        case "ApplicationId":
            selector = value["selector_id"]
            ((width, number),) = selector.items()
            return bytes([value["classification_engine_id"]]) + number.to_bytes(int(width[1:]) // 8)
        case _:
            return value


# -- logstash: its specification's events, of which some are compared there

_VENDORS = ("netscaler", "vmware")
_STREAMCORE = {
    "streamcore_net_app_resp_time": 8193, "streamcore_total_app_resp_time": 8194, "streamcore_tcp_retrans_rate": 8195,
    "streamcore_call_direction": 8196, "streamcore_wan_rtt": 8192, "streamcore_hostname": 8256, "streamcore_url": 8257,
    **{f"streamcore_id_rule_{number}": 8383 + number for number in range(1, 11)},
}  # fmt: skip
_PROCERA = {
    "Service": 1, "BaseService": 2, "IncomingOctets": 3, "OutgoingOctets": 4, "FlowBehavior": 15, "ContentCategories": 16,
    "HttpFileLength": 25, "SubscriberIdentifier": 28, "TemplateName": 47,
}  # fmt: skip
_LOGSTASH = {
    **{f"procera{name}": f"e15397_i{number}" for name, number in _PROCERA.items()},
    "conn_id": "flowId", "fw_event": "firewallEvent", "fw_ext_event": "firewallExtendedEvent",
    "event_time_msec": "observationTimeMilliseconds", "flow_start_msec": "flowStartMilliseconds",
    "fwd_flow_delta_bytes": "initiatorOctets", "rev_flow_delta_bytes": "responderOctets", "app_id": "panwAppId",
    "user_id": "panwUserId", "in_src_mac": "sourceMacAddress", "ip_dscp": "ipDiffServCodePoint", "tcp_src_port": "tcpSourcePort",
    "udp_dst_port": "udpDestinationPort", "first_switched": "flowStartMilliseconds", "last_switched": "flowEndMilliseconds",
    "viptelaVPNId": "viptelaVpnId", "xlate_src_addr_ipv4": "postNATSourceIPv4Address", "xlate_src_port": "postNAPTSourceTransportPort",
    "xlate_dst_addr_ipv4": "postNATDestinationIPv4Address", "xlate_dst_port": "postNAPTDestinationTransportPort",
    "netscalerUnknown330": "e5951_i330", "icmp_type": "icmpTypeCodeIPv4", "icmp_code": "icmpCodeIPv4",
}  # fmt: skip
# of times; the others are durations
_POINTS = ("flowStart", "flowEndM", "flowEndS", "observationTime", "systemInitTime")
# these are three empty texts of Procera's, and no registry says which element is which
_EMPTY = {"proceraHttpContentType", "proceraHttpLocation", "proceraHttpUrl"}
_HEADER = {"version", "flow_seq_num", "flowset_id", "flow_records"}
_HEADER_5 = {"engine_type", "engine_id", "sampling_algorithm", "sampling_interval"}
_PEN_APPLICATION = 20  # classification engine of selectors with an enterprise number (RFC 6759 section 4.1)


# the capture has the files of this event the other way round: two records each
_SHIFTED = {"netflow-9-streamcore": 2}


def logstash(path: Path) -> Expected:
    content = json.loads(path.read_text())
    matches = {match["event_index"]: content["json_events"][match["json_event"]] for match in content["event_matches"]}
    count = content["expected_event_count"]
    shift = _SHIFTED.get(path.stem, 0)
    places = {index: (index + shift) % count if shift else index for index in matches}
    return Expected(count, {places[index]: _of_logstash(event["netflow"]) for index, event in matches.items()})


def _of_logstash(event: dict[str, Any]) -> Row:
    header = _HEADER | _EMPTY | (_HEADER_5 if event["version"] == 5 else set())
    row = dict(_field_of_logstash(name, value) for name, value in event.items() if name not in header)
    if "icmp_code" in event:  # a Cisco ASA has elements of their own for both
        row["icmpTypeIPv4"] = row.pop("icmpTypeCodeIPv4")
    return row


def _field_of_logstash(name: str, value: Any) -> tuple[str, Any]:  # noqa: PLR0911 - one line a kind
    if number := _STREAMCORE.get(name):  # no registry knows their types: numbers, and text in fixed lengths
        return f"e0_i{number}", value
    vendor = next((vendor for vendor in _VENDORS if name.startswith(vendor)), "")
    column = _LOGSTASH.get(name) or (name if name.startswith(("reverse", "scope_")) else _named(name.removeprefix(vendor)))
    match value:
        case {"status": status, "reason": reason}:
            return column, status << 6 | reason
        case str() if column == "applicationId":
            return column, _application(value)
        case str() if "switched" in name:  # to the millisecond, as sysUpTime is; the header's microseconds are added to it
            return column, _time_ns(value) // 10**6 * 10**6
        case str() if column.startswith(_POINTS):
            return column, _time_ns(value)
        case int() if column.startswith(_POINTS) and column.endswith("Milliseconds"):
            return column, value * 10**6
        case int() if column.startswith(_POINTS) and column.endswith("Seconds"):
            return column, value * 10**9
        case str() if re.search("IPv[46]Address$", column):
            return column, _address(value)
        case int() if column == "scope_system":
            return column, str(ipaddress.IPv4Address(value))
    return column, value


def _application(text: str) -> bytes:
    """RFC 6759 section 4: the engine, then the selector."""
    engine, *numbers = map(int, text.split(".."))
    return bytes([engine]) + b"".join(number.to_bytes(4 if engine == _PEN_APPLICATION else 3) for number in numbers)


# -- telegraf: InfluxDB's line protocol

_TELEGRAF = {
    "in_bytes": "octetDeltaCount", "in_packets": "packetDeltaCount", "src_port": "sourceTransportPort", "flows": "deltaFlowCount",
    "dst_port": "destinationTransportPort", "protocol": "protocolIdentifier", "src_mask": "sourceIPv4PrefixLength",
    "dst_mask": "destinationIPv4PrefixLength", "in_snmp": "ingressInterface", "out_snmp": "egressInterface",
    "next_hop": "ipNextHopIPv4Address", "tcp_flags": "tcpControlBits", "src_tos": "ipClassOfService", "dst_tos": "postIpClassOfService",
    "first_switched": "flowStartSysUpTime", "last_switched": "flowEndSysUpTime", "flow_start": "flowStartSeconds",
    "flow_end": "flowEndSeconds", "flow_start_ms": "flowStartMilliseconds", "flow_end_ms": "flowEndMilliseconds",
    "in_src_mac": "sourceMacAddress", "out_dst_mac": "postDestinationMacAddress", "ip_version": "ipVersion",
    "bgp_src_as": "bgpSourceAsNumber", "bgp_dst_as": "bgpDestinationAsNumber", "direction": "flowDirection",
    "interface": "interfaceName", "interface_desc": "interfaceDescription",
}  # fmt: skip
_TELEGRAF_HEADER_5 = {"flows", "engine_type", "engine_id", "sys_uptime", "seq_number", "sampling_interval"}
_ADDRESSES = {"src": "source", "dst": "destination"}
_FLAG_LETTERS = "CEUAPRSF"


def telegraf(path: Path) -> Expected | None:
    lines = path.read_text().splitlines()
    if path.suffix != ".out" or "sFlow" in lines[0]:
        return None
    return Expected.of_all(dict(_of_telegraf(line)) for line in lines if line)


def _of_telegraf(line: str) -> Iterator[tuple[str, Any]]:
    tags, fields = line.split(" ", 1)
    for name, text, number in re.findall(r'(\w+)=(?:"([^"]*)"|(\d+)u)', fields):
        value: Any = int(number) if number else text
        if name in _ADDRESSES:
            yield f"{_ADDRESSES[name]}IPv{ipaddress.ip_address(text).version}Address", _address(text)
        elif own := re.fullmatch(r"type_(\d+)_(\d+)", name):
            yield _column(int(own[1]), int(own[2])), bytes.fromhex(text.removeprefix("0x")) if text else ""
        elif not (name in _TELEGRAF_HEADER_5 and tags.endswith("NetFlowV5")):
            column = _TELEGRAF.get(name) or _named(name)
            if name == "tcp_flags":
                value = sum(128 >> place for place, letter in enumerate(text) if letter != ".")
            elif text.startswith("0x"):
                value = int(text, 16)
            elif text and column in _NUMBERS:
                value = _number(column, text)
            elif column.endswith("Seconds"):
                value *= 10**9
            elif column.endswith("Milliseconds"):
                value *= 10**6
            yield column, value


READERS = {"logstash": logstash, "netflow_parser": netflow_parser, "netgauze": netgauze, "telegraf": telegraf}
