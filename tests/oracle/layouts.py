"""Records of NetFlow v1-v8, typed in from the public layouts (flow-tools `ftlib.h`, Cisco's tables), not from the product's registry.

`name/octets` in wire order. `NAMES` maps flow-tools' names to IPFIX elements.
"""

_V5_HEAD = "srcaddr/4 dstaddr/4 nexthop/4 input/2 output/2 dPkts/4 dOctets/4 First/4 Last/4 srcport/2 dstport/2 "
_V5 = _V5_HEAD + "pad/1 tcp_flags/1 prot/1 tos/1 src_as/2 dst_as/2 src_mask/1 dst_mask/1 "
_V8 = "dFlows/4 dPkts/4 dOctets/4 First/4 Last/4 "
_PREFIXES = "src_prefix/4 dst_prefix/4 dst_mask/1 src_mask/1 "

# (version, v8 aggregation method): (header octets, record fields)
LAYOUTS = {
    (1, 0): (16, _V5_HEAD + "pad/2 prot/1 tos/1 flags/1 tcp_retx_cnt/1 tcp_retx_secs/1 tcp_misseq_cnt/1 reserved/4"),
    (5, 0): (24, _V5 + "drops/2"),
    (6, 0): (24, _V5 + "in_encaps/1 out_encaps/1 peer_nexthop/4"),
    (7, 0): (24, _V5 + "drops/2 router_sc/4"),
    (8, 1): (28, _V8 + "src_as/2 dst_as/2 input/2 output/2"),
    (8, 2): (28, _V8 + "prot/1 pad/1 reserved/2 srcport/2 dstport/2"),
    (8, 3): (28, _V8 + "src_prefix/4 src_mask/1 pad/1 src_as/2 input/2 reserved/2"),
    (8, 4): (28, _V8 + "dst_prefix/4 dst_mask/1 pad/1 dst_as/2 output/2 reserved/2"),
    (8, 5): (28, _V8 + _PREFIXES + "reserved/2 src_as/2 dst_as/2 input/2 output/2"),
    (8, 6): (28, "dstaddr/4 dPkts/4 dOctets/4 First/4 Last/4 output/2 tos/1 marked_tos/1 extra_pkts/4 router_sc/4"),
    (8, 7): (
        28,
        "dstaddr/4 srcaddr/4 dPkts/4 dOctets/4 First/4 Last/4 output/2 input/2 tos/1 marked_tos/1 reserved/2 extra_pkts/4 router_sc/4",
    ),
    (8, 8): (
        28,
        "dstaddr/4 srcaddr/4 dstport/2 srcport/2 dPkts/4 dOctets/4 First/4 Last/4 output/2 input/2 "
        "tos/1 prot/1 marked_tos/1 reserved/1 extra_pkts/4 router_sc/4",
    ),
    (8, 9): (28, _V8 + "src_as/2 dst_as/2 input/2 output/2 tos/1 pad/1 reserved/2"),
    (8, 10): (28, _V8 + "prot/1 tos/1 reserved/2 srcport/2 dstport/2 input/2 output/2"),
    (8, 11): (28, _V8 + "src_prefix/4 src_mask/1 tos/1 src_as/2 input/2 reserved/2"),
    (8, 12): (28, _V8 + "dst_prefix/4 dst_mask/1 tos/1 dst_as/2 output/2 reserved/2"),
    (8, 13): (28, _V8 + _PREFIXES + "tos/1 pad/1 src_as/2 dst_as/2 input/2 output/2"),
    (8, 14): (28, _V8 + _PREFIXES + "tos/1 prot/1 srcport/2 dstport/2 input/2 output/2"),
}

# flow-tools' name: IANA element id (spec 2.1.4 of the formats; RFC 7012's registry)
NAMES = {
    "srcaddr": 8, "dstaddr": 12, "nexthop": 15, "input": 10, "output": 14, "dPkts": 2, "dOctets": 1, "First": 22, "Last": 21,
    "srcport": 7, "dstport": 11, "prot": 4, "tos": 5, "tcp_flags": 6, "flags": 6, "src_as": 16, "dst_as": 17, "src_mask": 9,
    "dst_mask": 13, "dFlows": 3, "src_prefix": 44, "dst_prefix": 45, "router_sc": 43, "peer_nexthop": 18,
}  # fmt: skip


def fields(version: int, method: int = 0) -> list[tuple[str, int]]:
    """(flow-tools' name, octets) of a record."""
    return [(name, int(octets)) for name, octets in (word.split("/") for word in LAYOUTS[version, method][1].split())]
