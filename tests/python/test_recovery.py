"""Decoding again what holds a datagram that runs into a fault of flowfast's own."""

import time

import pyarrow.parquet as pq
from support import netflow5, pcap

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
