"""sFlow: the vectors value by value, and every capture's samples counted, against their JSON and the manifest's independent count."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from flowfast import _core
from oracle.capture import SHARED_CAPTURES, datagrams

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
COLUMNS = {
    "drops": "sample_drops",
    "dstMac": "destinationMacAddress",
    "srcMac": "sourceMacAddress",
    "src_vlan": "vlanId",
    "dst_vlan": "postVlanId",
    "input": "ingressInterface",
    "output": "egressInterface",
    "sampling_rate": "samplingInterval",
    "vlan": "dot1qVlanId",
}


def samples(batches: list[Any], kind: str) -> list[dict[str, Any]]:
    lines = [line for batch in batches if batch.kind == kind for line in batch.to_ndjson().decode().splitlines()]
    return sorted(map(json.loads, lines), key=lambda row: row["sample_sequence"])


def decode(payloads: list[bytes], **options: Any) -> tuple[list[Any], dict[str, Any]]:
    decoder = _core.Decoder(schema="wire", **options)
    for payload in payloads:
        decoder.decode(payload, "192.0.2.1", 6343, local_port=6343, time_received_ns=10**18)
    return decoder.flush(), decoder.stats()


def vector(name: str) -> tuple[dict[str, Any], list[bytes]]:
    lines = (VECTORS / f"{name}.hex").read_text().split()
    return json.loads((VECTORS / f"{name}.json").read_text()), [bytes.fromhex(line) for line in lines]


@pytest.mark.parametrize("name", ["sflow5", "sflow4"])
def test_vectors(name: str) -> None:
    """FF-SF-01, FF-SF-03, FF-SF-07."""
    expected, payloads = vector(name)
    batches, stats = decode(payloads)
    flows = samples(batches, "data")
    assert len(flows) == len(expected["flow"])
    for row, sample in zip(flows, expected["flow"], strict=True):
        assert {key: row[COLUMNS.get(key, key)] for key in sample} == sample
        assert (row["_exporter"], row["_source"], row["_sequence"]) == (expected["agent"], "192.0.2.1", expected["sequence"])
    counters = samples(batches, "counters")
    wanted = expected.get("counters", [])
    assert [{key: row[key] for key in sample} for row, sample in zip(counters, wanted, strict=True)] == wanted
    assert stats["warnings"]["unknown_sample"] == expected.get("skipped_samples", 0)


def test_a_truncated_datagram_leaves_nothing_behind() -> None:
    """FF-SF-06: and is not read past its end; lenient decoding drops the last sample only."""
    _, payloads = vector("sflow5_truncated")
    batches, stats = decode(payloads)
    assert (batches, stats["datagrams_discarded"]["sample_overrun"]) == ([], 1)
    batches, stats = decode(payloads, lenient=True)
    assert batches
    assert stats["warnings"]["malformed_tail"] == 1


def captures() -> list[Any]:
    manifest = SHARED_CAPTURES / "MANIFEST.csv"
    if not manifest.exists():
        return [pytest.param("", 0, marks=pytest.mark.skip("the captures of other projects are not beside this repository"))]
    rows = csv.DictReader(manifest.open(newline=""))
    wanted = [row for row in rows if row["sflow_samples"] not in ("", "0") and row["file"].endswith(".pcap")]
    return [pytest.param(row["file"], sum(counts(row["sflow_samples"])), id=Path(row["file"]).name) for row in wanted]


def counts(kinds: str) -> list[int]:
    """`0:1=7;0:2=3`: seven flow samples and three counter samples."""
    return [int(kind.partition("=")[2]) for kind in kinds.split(";")]


@pytest.mark.parametrize(("file", "count"), captures())
def test_every_sample_of_a_capture_is_a_row(file: str, count: int) -> None:
    """By the manifest's count of a structural parser; unknown samples are skipped by length and counted."""
    payloads = [datagram.payload for datagram in datagrams(SHARED_CAPTURES / file)]
    batches, stats = decode(payloads)
    rows = sum(batch.num_rows for batch in batches if batch.num_rows and is_sflow(batch))
    assert rows + stats["warnings"]["unknown_sample"] == count


def is_sflow(batch: Any) -> bool:
    return b'"_type":"sflow_' in batch.to_ndjson()[:2000]
