"""Structures of sFlow that no capture has, written here octet by octet, and those of the registry that are skipped."""

import csv
import json
import struct
from typing import Any

import pytest
from test_sflow import decode

from oracle.values import REGISTRY

# Why a structure of the registry has no columns: it is skipped by its length and counted.
SKIPPED = {
    ("sample", "4300", "1002"): "InMon's rtmetric, whose fields are named in each sample",
    ("sample", "4300", "1003"): "InMon's rtflow, whose fields are named in each sample",
    ("flow_record", "0", "2000"): "a draft of application transactions that app_operation (2202) replaced",
    ("flow_record", "0", "2001"): "a draft of application transactions that app_operation (2202) replaced",
    ("flow_record", "0", "2002"): "a draft of application transactions that app_operation (2202) replaced",
    ("flow_record", "0", "2003"): "a draft of application transactions that app_operation (2202) replaced",
    ("flow_record", "0", "2208"): "the times of a page in a browser, no property of a packet",
    ("counter_record", "0", "11"): "no layout is published",
    ("counter_record", "0", "2200"): "a draft of the memcache counters (2204)",
    ("counter_record", "0", "2205"): "no layout is published",
}
NAMES = {"sample": "sample", "flow": "flow_record", "counter": "counter_record"}


def test_every_structure_of_the_registry_is_decoded_or_skipped_for_a_reason() -> None:
    """FF-SF-01: whatever has a published layout has columns."""
    with (REGISTRY / "sflow-structures.csv").open() as file:
        known = {(row["kind"], int(row["tag"])): (row["kind"], row["enterprise"], row["format"]) for row in csv.DictReader(file)}
    with (REGISTRY / "sflow-fields.csv").open() as file:
        decoded = {(NAMES[row["kind"]], int(row["tag"])) for row in csv.DictReader(file) if row["kind"] in NAMES}
    assert {known[key] for key in known.keys() - decoded} == SKIPPED.keys()


def words(*numbers: int) -> bytes:
    return b"".join(struct.pack(">I", number) for number in numbers)


def text(value: bytes) -> bytes:
    return words(len(value)) + value + bytes(-len(value) % 4)


def numbered(names: str, start: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), start)}


IB_ERRORS = (
    "ib_symbol_errors ib_link_error_recovery ib_link_downed ib_rcv_errors ib_rcv_remote_physical_errors ib_rcv_switch_relay_errors "
    "ib_xmit_discards ib_xmit_constraint_errors ib_rcv_constraint_errors ib_local_link_integrity_errors ib_excessive_buffer_overrun_errors "
    "ib_vl15_dropped"
)
LRH = "ib_src_vl ib_src_sl ib_src_dlid ib_src_slid ib_src_lnh ib_dst_vl ib_dst_sl ib_dst_dlid ib_dst_slid ib_dst_lnh"
PDUS = words(1, 1, 1019, 8, 3, 9)
# (counter sample?, format): the record's body, and its columns
RECORDS: dict[tuple[bool, int], tuple[bytes, dict[str, Any]]] = {
    (False, 1016): (PDUS, {"wifi_pdus": PDUS.hex()}),
    (False, 1017): (
        words(1, 2, 0x3FFFFF, 5),
        {"openflow_cookie": (1 << 32) + 2, "openflow_match": 0x3FFFFF, "openflow_actions": 5},
    ),
    (False, 1018): (words(8, 16, 0x010203, 0x80000007), numbered("fc_src_mask_len", 8) | {
        "fc_dst_mask_len": 16, "fc_next_hop": 0x010203, "fc_metric": 0x80000007}),
    (False, 1019): (words(3, 9), {"queue_index": 3, "queue_length": 9}),
    (False, 1031): (words(*range(1, 11)), numbered(LRH, 1)),
    (False, 1032): (
        words(1, 2) + b"\xfe\x80" + bytes(13) + b"\1" + b"\xfe\x80" + bytes(13) + b"\2" + words(27, 64),
        {"ib_flow_label": 1, "ib_traffic_class": 2, "ib_src_gid": "fe80::1", "ib_dst_gid": "fe80::2", "ib_next_header": 27,
         "ib_payload_length": 64},
    ),
    (False, 1033): (words(0xFFFF, 77, 4), {"ib_pkey": 0xFFFF, "ib_dst_qp": 77, "ib_opcode": 4}),
    (False, 2201): (
        words(2, 1001) + b"".join(map(text, (b"/a", b"host", b"", b"curl", b"me", b"text/html"))) + words(0, 512, 99, 200),
        {"http_method": 2, "http_protocol": 1001, "http_request_uri": "/a", "http_request_host": "host", "http_referer": "",
         "http_useragent": "curl", "http_authuser": "me", "http_mime_type": "text/html", "http_resp_bytes": 512, "http_duration_us": 99,
         "http_status": 200},
    ),
    (True, 8): (words(*range(1, 7)), numbered(
        "slow_path_unknown slow_path_other slow_path_cam_miss slow_path_cam_full slow_path_no_hw_support slow_path_control", 1)),
    (True, 9): (words(0, 1, 1, 0, *range(3, 15)), {"ib_xmit_pkts": 1, "ib_rcv_pkts": 1 << 32} | numbered(IB_ERRORS, 3)),
}  # fmt: skip


@pytest.mark.parametrize(("is_counters", "number"), RECORDS)
def test_structures_of_no_capture(is_counters: bool, number: int) -> None:
    """FF-SF-01: each field at its place, between records of other formats; one octet short it is skipped, and its neighbours stay."""
    body, expected = RECORDS[is_counters, number]
    before, after = (words(5, 28, 7, 0, 8, *bytes(4)), words(1005, 8) + text(b"eth1")) if is_counters else (
        words(1029, 4, 11), words(1030, 4, 12))  # fmt: skip
    neighbours = {"vlan_id": 7, "interfaceName": "eth1"} if is_counters else {"vni_egress": 11, "vni_ingress": 12}
    for octets, has_record in ((body, True), (body[:-4], number == 1016)):
        record = words(number, len(octets)) + octets
        head = words(1, 0x2000005, 3) if is_counters else words(1, 5, 100, 0, 0, 1, 2, 3)
        sample = head + before + record + after
        datagram = words(5, 1, 0xC0000201, 0, 1, 0, 1, 2 if is_counters else 1, len(sample)) + sample
        batches, stats = decode([datagram])
        (row,) = (json.loads(line) for batch in batches for line in batch.to_ndjson().decode().splitlines())
        wanted = expected if has_record and octets == body else {}
        assert {name: row.get(name) for name in (*wanted, *neighbours)} == wanted | neighbours
        assert stats["warnings"]["malformed_record"] == (not has_record)
