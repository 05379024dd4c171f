import io
import json
import logging

import pytest
from rich.console import Console
from support import lose

from flowfast import logs
from flowfast.counters import Snapshot
from flowfast.sinks import Account
from flowfast.status import Status, line, summary

STATS = {
    "datagrams_received": 1200,
    "datagrams_decoded": 1190,
    "datagrams_discarded": {"set_overrun": 9, "unknown_version": 1, "count_zero": 0},
    "records_decoded": 30_000,
    "records_dropped": {"queue_full": 0},
    "sequence_lost_records": 5,
    "sequence_lost_packets": 2,
    "kernel_drops": 7,
    "warnings": {"trailing_octets": 2},
}


@pytest.fixture
def logged():
    """What has been logged since the last call, as JSON lines."""
    text = io.StringIO()
    logs.set_up(Console(file=text), service=True)

    def read():
        entries = [json.loads(each) for each in text.getvalue().splitlines()]
        text.seek(0)
        text.truncate()
        return entries

    yield read
    logging.getLogger("flowfast").handlers.clear()


def test_the_line_has_rates_and_what_is_lost():
    account = Account("null:", records_dropped=1500)
    earlier = Snapshot(at_s=10, datagrams=200, records=0, exporters=0)
    now = Snapshot.take(12, STATS, 3, [account])
    assert line(now, earlier) == (
        "500 datagrams/s  15k records/s  3 exporters  lost: kernel drops 7, sequence lost 7, datagrams discarded 10, targets dropped 1.5k"
    )


def test_the_summary_has_every_loss_with_its_reason():
    accounts = [Account("x", 100, 0, 90, 4, files_written=3), Account("-", 50, 50, 50)]
    assert summary(STATS, accounts) == [
        "1,200 datagrams received, 30,000 records decoded",
        "  10 datagrams discarded: set_overrun 9, unknown_version 1",
        "  5 records lost before flowfast, by sequence numbers",
        "  2 export packets lost before flowfast, by sequence numbers",
        "  7 drops by the kernel, of a datagram or a train of them each",
        "  2 oddities noticed: trailing_octets 2",
        "90 records written to x in 3 files, 4 failed, 6 in flight",
        "50 records written to -, 50 dropped",
    ]


def test_failing_targets_are_told_at_once_and_then_once_a_minute(logged, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("flowfast.status.monotonic", lambda: now[0])
    good, bad = Account("good"), Account("bad")
    status = Status(Console(stderr=True), lambda: Snapshot(now[0], 0, 0, 0), [good, bad], live=False)
    lose(bad, 10, OSError(28, "No space left on device"))
    status.tick()
    (entry,) = logged()
    assert (entry["event"], entry["level"], entry["target"], entry["records"]) == ("target_lost", "error", "bad", 10)
    assert entry["message"] == "bad lost 10 records: no space left on the device"
    lose(bad, 10, OSError(28, "No space left on device"))
    good.records_dropped = 5
    status.tick()
    (entry,) = logged()
    assert entry["message"] == "good lost 5 records: it is slower than the flows"
    lose(good, 1, OSError(5, "Input/output error"))
    status.tick()
    assert [entry["event"] for entry in logged()] == ["all_targets_failing"]
    now[0] += 61
    status.tick()
    assert sorted(entry["event"] for entry in logged()) == ["status", "target_lost", "target_lost"]
