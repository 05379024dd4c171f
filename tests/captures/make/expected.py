"""Write `expected.csv`: what tshark and nfdump find in the captures. flowfast has no part in it.

    python3 tests/captures/make/expected.py

Records, templates and sums are tshark's. nfdump's flows and sums stand beside them; it multiplies the counters of
sampled flows by the rate that the exporter announces, and it does not read sFlow.
"""

import csv
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from oracle import nfdump, tshark  # noqa: E402

COLUMNS = (
    "capture", "format", "datagrams", "templates", "options_templates", "data_records", "options_records",
    "flow_samples", "counter_samples", "octets", "packets", "nfdump_flows", "nfdump_octets", "nfdump_packets",
)  # fmt: skip
FORMATS = {"v1": "netflow_v1", "v5": "netflow_v5", "v9": "netflow_v9", "ipfix": "ipfix", "sflow": "sflow_v5"}


def netflow(path: Path) -> dict[str, int]:
    packets = tshark.run(path)
    options = tshark.options_ids(packets)
    records = [record for frame in tshark.records(packets).values() for record in frame]
    data = [record for record in records if record["template"] not in options]
    flows = nfdump.run(path)
    return tshark.counts(packets) | {
        "data_records": len(data),
        "options_records": len(records) - len(data),
        "octets": sum(record.get(1, 0) for record in data),
        "packets": sum(record.get(2, 0) for record in data),
        "nfdump_flows": len(flows),
        "nfdump_octets": sum(flow.get("in_bytes", 0) for flow in flows),
        "nfdump_packets": sum(flow.get("in_packets", 0) for flow in flows),
    }


def sflow(path: Path) -> dict[str, int]:
    layers = [dict(dict(packet)["_source"])["layers"] for packet in tshark.run(path, "sflow")]
    samples = [key for layer in layers for name, body in layer if name == "sflow" for key, _ in body]
    return {
        "datagrams": len(layers),
        "flow_samples": sum(key.startswith("Flow sample") for key in samples),
        "counter_samples": sum(key.startswith("Counters sample") for key in samples),
    }


def main() -> None:
    captures = HERE.parent
    with (captures / "expected.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for path in sorted(captures.glob("*.pcap")):
            kind = path.stem.split("-")[1]
            counted = sflow(path) if kind == "sflow" else netflow(path)
            writer.writerow({"capture": path.name, "format": FORMATS[kind], **counted})


if __name__ == "__main__":
    main()
