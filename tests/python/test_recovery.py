"""Decoding segments of the journal again: what the ledger tells of them, and a fault of flowfast's own in one."""

import socket
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
from support import IPFIX_TEMPLATE, collecting, ipfix_data, netflow5, pcap

from flowfast import _core
from flowfast.journal import LATE_REST_S, Journal
from flowfast.recovery import Recovery
from flowfast.sinks import ROW_WRITERS, Account
from flowfast.sinks.rotating import RotatingFiles
from flowfast.uris import Target


class Panicked:
    """A replay that has run into such a datagram."""

    def __init__(self, replay):
        self._replay = replay

    def __getattr__(self, name):
        return getattr(self._replay, name)

    def stats(self):
        return self._replay.stats() | {"worker_panics": 1}


def test_after_a_panic_a_segment_is_decoded_datagram_by_datagram(tmp_path):
    out = tmp_path / "out"
    journal = Journal(tmp_path / "journal", [out], keep=False)
    sink = RotatingFiles(Target.parse(f"parquet:{out}"), ROW_WRITERS["parquet"], Account("parquet"), journal.run)
    segment = f"1790000000-0-{journal.run}-0.pcap"
    (journal.directory / segment).write_bytes(pcap([netflow5(10), netflow5(10, sequence=10)]))
    asked = []

    def decode(captures, late, worker, singly):
        asked.append(singly)
        return Panicked(_core.Replay([str(path) for path in captures], rotate_s=60, late=late))

    recovery = Recovery(journal, {out: sink}, decode)
    journal.put_back([segment])
    recovery.start()
    deadline = time.monotonic() + 20
    while not journal.counters.segments_recovered:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    recovery.close()
    assert asked == [False, True]
    assert (sink.account.records_handed, sink.account.records_deferred, sink.account.records_written) == (40, 20, 20)
    assert sum(pq.read_metadata(path).num_rows for path in out.glob("flows/**/*.parquet")) == 20
    assert not (journal.directory / segment).exists()
    journal.close()


def test_a_segment_that_is_decoded_again_tells_what_was_told_before(tmp_path):
    """Of losses, of what is malformed, and of sets without a template; where it begins in the middle of a sequence, too."""
    out = tmp_path / "out"
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter,
        collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s", "--journal", "keep") as running,
    ):
        exporter.connect(("127.0.0.1", running.wait_for("listening")["port"]))
        running.wait_for("writing")
        exporter.send(IPFIX_TEMPLATE)
        sequence = 0
        for turn in range(60):
            for datagram in (
                netflow5(10, sequence=sequence),
                ipfix_data(10, sequence=sequence),
                ipfix_data(1, template=300, sequence=sequence),
            ):
                exporter.send(datagram)
            exporter.send(b"\0\5" if turn % 2 else b"\0\x0a\0\x14 this is no IPFIX")
            sequence += 10 if turn % 9 else 70
            time.sleep(0.05)
        running.stop()
    before, again = Counter(), Counter()
    for path in out.glob("ledger/**/*.parquet"):
        add_up(pq.read_table(path, partitioning=None), before)
    segments = sorted(out.glob("journal/kept/*.pcap"))
    assert len(segments) >= 3
    for segment in segments:
        replay = _core.Replay([str(segment)], rotate_s=1, late=tmp_path / "late", ledger=True)
        replay.start()
        while not replay.finished:
            event = replay.next_event(0.2)
            if isinstance(event, _core.Batch) and event.kind == "ledger":
                add_up(pa.table(event), again)
    assert again == before
    counters = Counter()
    for (_, counter, _), count in before.items():
        counters[counter] += count
    assert (counters["records_decoded"], counters["sets_late"], counters["datagrams_discarded"]) == (1200, 60, 60)
    assert counters["sequence_lost_records"] > 0
    assert counters["collector_down_records"] == 0


def add_up(rows: pa.Table, counts: Counter) -> None:
    """What the ledger tells of exporters."""
    for row in rows.to_pylist():
        if row["target"] is None:
            counts[row["format"], row["counter"], row["label"]] += row["count"]


def test_late_sets_are_tried_ever_more_seldom(tmp_path, monkeypatch):
    """Each try decodes what is known of their exporters: a flood of templates shall not make that at every interval of an hour."""
    clock = [1000.0]
    monkeypatch.setattr("flowfast.journal.monotonic", lambda: clock[0])
    journal = Journal(tmp_path / "journal", [tmp_path / "out"], keep=False)
    segment = f"1790000000-0-{journal.run}-0.late1.pcap"
    (journal.directory / segment).write_bytes(pcap([netflow5(1)]))
    tried_s = []
    for _ in range(3600):
        journal.try_late()
        if journal.next_segment(0) == segment:
            tried_s.append(clock[0] - 1000)
        clock[0] += 1
    assert tried_s == [2**n - 1 for n in range(12)]
    journal.close()


def test_late_sets_that_rested_when_templates_came_are_tried_after_that(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("flowfast.journal.monotonic", lambda: clock[0])
    journal = Journal(tmp_path / "journal", [tmp_path / "out"], keep=False)
    segment = f"1790000000-0-{journal.run}-0.late1.pcap"
    (journal.directory / segment).write_bytes(pcap([netflow5(1)]))
    assert journal.next_segment(0) == segment
    journal.try_late()
    assert journal.next_segment(0) is None
    clock[0] += LATE_REST_S
    assert journal.next_segment(0) == segment
    assert journal.next_segment(0) is None
    clock[0] += 100
    assert journal.next_segment(0) is None, "no templates have come"
    journal.close()
