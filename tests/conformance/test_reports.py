"""What a real exporter says it sent, against what its capture holds (FF-OT-02)."""

from pathlib import Path

import flowfast


def test_nprobe_sent_what_arrived(shared_captures: Path) -> None:
    """nProbe counts its packets and flows in options data (types 41 and 42): between its first and its last report none is missing."""
    capture = flowfast.read(shared_captures / "files" / "graylog-plugin__nprobe-netflow9-3.pcap")
    assert sum(batch.num_rows for batch in capture) > 0
    (exporter,) = capture.exporters()
    # tshark shows 0 and 60 packets, 1 and 756 flows in the first and the last of the six reports.
    assert (exporter["messages_reported"], exporter["messages_arrived"]) == (60, 60)
    assert (exporter["records_reported"], exporter["records_arrived"]) == (755, 755)
