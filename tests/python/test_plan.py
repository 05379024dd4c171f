"""`flowfast plan`: what becomes of each field, against layouts written down from the registry, the formats and docs/reference/schema.md."""

import json
import re
import struct
from pathlib import Path

import pytest
from support import pcap, run

from oracle.exporter import VARIABLE, Field, a_set, ipfix, options_template, options_templates, template, templates

# 19 fields that Cisco routers send (RFC 3954 section 8), largest first, then by id: 44 octets of 11 fields, 4 of two ports, 6 of the rest.
V9_19 = """
offset octets  element                      operation                               column
     0      4  octetDeltaCount              widen 4 to 8 octets                     bytes
     4      4  packetDeltaCount             widen 4 to 8 octets                     packets
     8      4  sourceIPv4Address            IPv4 to ::ffff:a.b.c.d                  src_addr
    12      4  ingressInterface             copy                                    in_if
                                            looks up the rate in options data       sampling_rate, sampling_source
    16      4  destinationIPv4Address       IPv4 to ::ffff:a.b.c.d                  dst_addr
    20      4  egressInterface              copy                                    out_if
                                            looks up the rate in options data       sampling_rate, sampling_source
    24      4  ipNextHopIPv4Address         IPv4 to ::ffff:a.b.c.d                  next_hop
    28      4  bgpSourceAsNumber            copy                                    src_as
    32      4  bgpDestinationAsNumber       copy                                    dst_as
    36      4  flowEndSysUpTime             milliseconds since boot to microseconds UTC  time_flow_end
                                            tells if the clock wrapped              time_flow_start
    40      4  flowStartSysUpTime           milliseconds since boot to microseconds UTC  time_flow_start
                                            tells if the clock wrapped              time_flow_end
    44      2  sourceTransportPort          copy                                    src_port
    46      2  destinationTransportPort     copy                                    dst_port
    48      1  protocolIdentifier           copy                                    proto
    49      1  ipClassOfService             copy                                    ip_tos
    50      1  tcpControlBits               widen 1 to 2 octets                     tcp_flags
    51      1  sourceIPv4PrefixLength       copy                                    src_net
    52      1  destinationIPv4PrefixLength  copy                                    dst_net
    53      1  flowDirection                copy                                    flow_direction
                                            looks up the rate in options data       sampling_rate, sampling_source
read together: octets 44 to 51, 46 to 53
in the canonical order: 1 run of fields
the message: type, time_received, sampler_address, observation_domain_id, sequence_num, template_id
0x0800 in every record: etype
null: icmp_type, icmp_code, ip_ttl, fragment_id, fragment_offset, ipv6_flow_label, flow_end_reason, forwarding_status, flows, bgp_next_hop,
src_vlan, dst_vlan, src_mac, dst_mac, mpls_label, in_vrf, out_vrf, post_nat_src_addr, post_nat_dst_addr, post_nat_src_port,
post_nat_dst_port, nat_event, firewall_event, user_name, application_id, application_name, reverse_bytes, reverse_packets, reverse_tcp_flags
"""
# The v5 record (Cisco): 48 octets; ICMP type and code stand in the destination port.
V5 = """
offset octets  element                      operation                               column
     0      4  sourceIPv4Address            IPv4 to ::ffff:a.b.c.d                  src_addr
     4      4  destinationIPv4Address       IPv4 to ::ffff:a.b.c.d                  dst_addr
     8      4  ipNextHopIPv4Address         IPv4 to ::ffff:a.b.c.d                  next_hop
    12      2  ingressInterface             widen 2 to 4 octets                     in_if
                                            looks up the rate in options data       sampling_rate, sampling_source
    14      2  egressInterface              widen 2 to 4 octets                     out_if
                                            looks up the rate in options data       sampling_rate, sampling_source
    16      4  packetDeltaCount             widen 4 to 8 octets                     packets
    20      4  octetDeltaCount              widen 4 to 8 octets                     bytes
    24      4  flowStartSysUpTime           milliseconds since boot to microseconds UTC  time_flow_start
                                            tells if the clock wrapped              time_flow_end
    28      4  flowEndSysUpTime             milliseconds since boot to microseconds UTC  time_flow_end
                                            tells if the clock wrapped              time_flow_start
    32      2  sourceTransportPort          copy                                    src_port
    34      2  destinationTransportPort     copy                                    dst_port
                                            bits 8 to 15, of ICMP                   icmp_type
                                            bits 0 to 7, of ICMP                    icmp_code
    36      1  paddingOctets                skip: padding
    37      1  tcpControlBits               widen 1 to 2 octets                     tcp_flags
    38      1  protocolIdentifier           copy                                    proto
                                            tells if it is ICMP                     icmp_type, icmp_code
    39      1  ipClassOfService             copy                                    ip_tos
    40      2  bgpSourceAsNumber            widen 2 to 4 octets                     src_as
    42      2  bgpDestinationAsNumber       widen 2 to 4 octets                     dst_as
    44      1  sourceIPv4PrefixLength       copy                                    src_net
    45      1  destinationIPv4PrefixLength  copy                                    dst_net
"""


def cells(line: str) -> list[str]:
    """Whatever the widths of the columns are."""
    return re.split(r"\s{2,}", line.strip())


def table(text: str) -> list[list[str]]:
    return [cells(re.sub(r"^(offset|\s*\+?\d+) +(\S+)", r"\1  \2", line)) for line in text.strip().splitlines()]


def unwrapped(lines: list[str]) -> str:
    return " ".join(" ".join(line.split()) for line in lines)


def plans(*arguments: object) -> list[dict]:
    done = run("plan", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_plan_of_a_template() -> None:
    # FF-ORD-03.
    first, *second = run("plan", "--template", "v9-19").stdout.split("\n\n")
    head, *lines = first.splitlines()
    assert head == "netflow_v9 template 256: 19 fields, 54 octets a record, to the table flows"
    *golden, together, runs, message, constant, null = V9_19.strip().replace(",\n", ", ").splitlines()
    rows = len(golden)
    assert table("\n".join(lines[:rows])) == table("\n".join(golden))
    assert unwrapped(lines[rows:]) == unwrapped([together, runs, message, constant, null])
    assert len(second) == 1
    assert "sourceIPv6Address " in second[0]


def test_the_plan_of_a_fixed_layout() -> None:
    head, *lines = run("plan", "--template", "v5").stdout.splitlines()
    assert head == "netflow_v5: 20 fields, 48 octets a record, to the table flows"
    golden = table(V5)
    assert table("\n".join(lines))[: len(golden)] == golden


def test_the_order_of_the_fields_moves_them_and_no_more() -> None:
    def uses(order: str) -> dict:
        return {field["name"]: field["uses"] for field in plans("--template", "set-a", "--order", order)[0]["fields"]}

    assert uses("worst") == uses("canonical")
    # FF-ORD-03: four fields of two octets and eight of one, its last 16 octets, are a group each.
    assert plans("--template", "set-a")[0]["neighbourhoods"] == [80, 88]
    # No two neighbours of the canonical order are neighbours in the worst, nor, that way around, in the reversed.
    runs = {order: plans("--template", "set-a", "--order", order)[0]["canonical_runs"] for order in ("canonical", "reversed", "worst")}
    assert runs == {"canonical": 1, "reversed": 26, "worst": 26}
    (worst,) = plans("--template", "set-a", "--order", "worst")
    assert [field["offset"] for field in worst["fields"]] == [
        sum(before["length"] for before in worst["fields"][:index]) for index in range(len(worst["fields"]))
    ]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Two exporters' worth of fields that are special: variable length, padding, no octets, repeated, unknown, too long; and options."""
    fields = [
        Field(152, 8),
        Field(371, VARIABLE),  # userName
        Field(210, 3),  # paddingOctets
        Field(61, 1),
        Field(96, VARIABLE),  # applicationName
        Field(4, 4),  # one octet, by the registry
        Field(58, 0),
        Field(10, 4),
        Field(10, 4),
        Field(7, 2, pen=99999),
        Field(6, 2),
    ]
    options = options_template(300, 1, Field(10, 4), Field(82, VARIABLE))
    message = ipfix(templates(template(256, *fields), template(257, *fields)), options_templates(options))
    v5 = struct.pack(">HHIIIIBBH", 5, 1, 1, 1_700_000_000, 0, 0, 1, 2, 0) + bytes(48)
    path = tmp_path / "special.pcap"
    path.write_bytes(pcap([message, v5, a_set(2)]))
    return path


def test_fields_that_are_special(capture: Path) -> None:
    found = plans("--capture", capture)
    assert len(found) == 3
    fixed, data, options = sorted(found, key=lambda plan: plan["users"][0]["template_id"] or 0)
    assert [plan["kind"] for plan in (fixed, data, options)] == ["data", "data", "options"]
    assert [user["template_id"] for user in data["users"]] == [256, 257]
    assert data["record_octets"] == 8 + 1 + 3 + 1 + 1 + 4 + 0 + 4 + 4 + 2 + 2
    told = [
        (field["name"], field["after"], field["offset"], field["skipped"] or [(use["operation"], use["column"]) for use in field["uses"]])
        for field in data["fields"]
    ]
    times = [("milliseconds to microseconds", "time_flow_start")]
    lookups = [("looks up the rate in options data", column) for column in ("sampling_rate", "sampling_source")]
    assert told == [
        ("flowStartMilliseconds", None, 0, times),
        ("userName", None, 8, [("text", "user_name")]),
        ("paddingOctets", 1, 0, "padding"),
        ("flowDirection", 1, 3, [("copy", "flow_direction"), *lookups]),
        ("applicationName", 1, 4, [("text", "application_name")]),
        ("protocolIdentifier", 4, 0, [("narrow 4 to 1 octets, null if too large", "proto")]),
        ("vlanId", 4, 4, "no octets"),
        ("ingressInterface", 4, 4, [("copy", "in_if"), *lookups]),
        ("ingressInterface", 4, 8, "the first of its element counts"),
        ("e99999_i7", 4, 12, "no column"),
        ("tcpControlBits", 4, 14, [("bits 0 to 11", "tcp_flags")]),
    ]
    assert (options["table"], options["scope_count"], {field["skipped"] for field in options["fields"]}) == (
        None, 1, {"no table for such records"},
    )  # fmt: skip
    assert [(user["format"], user["domain"], user["template_id"]) for user in fixed["users"]] == [("netflow_v5", 0x0102, None)]


def test_all_fields_have_a_column_in_wire(capture: Path) -> None:
    data = next(plan for plan in plans("--capture", capture, "--schema", "wire") if len(plan["users"]) == 2)
    columns = [[use["column"] for use in field["uses"]] for field in data["fields"]]
    assert columns == [
        ["flowStartMilliseconds"], ["userName"], [], ["flowDirection"], ["applicationName"], ["protocolIdentifier"], [],
        ["ingressInterface"], ["ingressInterface_2"], ["e99999_i7"], ["tcpControlBits"],
    ]  # fmt: skip
    assert data["table"].startswith("data-")
    assert {column["operation"] for column in data["unfilled"]} == {"the message"}


def test_what_is_within_a_field_may_go_anywhere(tmp_path: Path) -> None:
    # A packet section (dataLinkFrameSection) and a list (basicList).
    message = ipfix(templates(template(256, Field(315, VARIABLE), Field(322, 4)), template(257, Field(291, VARIABLE))))
    (tmp_path / "within.pcap").write_bytes(pcap([message]))
    section, lists = plans("--capture", tmp_path / "within.pcap")
    assert section["fields"][0]["uses"] == [{"column": None, "operation": "headers of the packet"}]
    assert [use["operation"] for use in section["fields"][1]["uses"]] == ["seconds to microseconds"] * 2
    assert lists["fields"][0]["uses"] == [{"column": None, "operation": "first value in the list"}]
    for plan in (section, lists):
        operations = {column["column"]: column["operation"] for column in plan["unfilled"]}
        assert operations["src_port"] == "null, unless one of the fields above has it"


def test_a_capture_is_told_by_exporter(capture: Path) -> None:
    heads = [block.splitlines()[0] for block in run("plan", "--capture", capture).stdout.split("\n\n")]
    assert any(re.match(r"ipfix template 256 of \S+ domain 1 and 1 more: 11 fields, at least 30 octets a record, ", head) for head in heads)
    assert any(head.endswith(": 2 fields, at least 5 octets a record, options data, which is in no table of this schema") for head in heads)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the plan of what?"),
        (("--template", "v5", "--capture", "x.pcap"), "the plan of what?"),
        (("--template", "v6"), "unknown template `v6`"),
        (("--template", "v5", "--order", "worst"), "v5"),
        (("--template", "set-a", "--order", "best"), "unknown order `best`"),
        (("--template", "set-a", "--schema", "rows"), "unknown schema `rows`"),
        (("--capture", "x.pcap", "--order", "worst"), "a capture has the order it has"),
        (("--capture", "no-such-file.pcap"), "cannot read no-such-file.pcap"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], said: str) -> None:
    done = run("plan", *arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "hint: " in done.stderr


def test_a_capture_without_templates(tmp_path: Path) -> None:
    (tmp_path / "nothing.pcap").write_bytes(pcap([b"no flows"]))
    done = run("plan", "--capture", tmp_path / "nothing.pcap")
    assert done.returncode == 1
    assert "there are no templates in" in done.stderr
