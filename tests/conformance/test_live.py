"""Over real sockets: every datagram and every record is accounted for, exactly (architecture section 7).

The sender is a process of its own and knows what it sent; it looks at the receiver's queue, so that the kernel has no reason to drop.
"""

import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import livetraffic
import numpy as np
import pyarrow as pa
import pytest
from livetraffic import Truth, key_of, packets_of

from flowfast import _core

COLUMNS = ("sampler_address", "observation_domain_id", "time_received", "bytes", "packets", "src_port", "dst_port", "src_addr", "dst_addr")
TIMEOUT_S = 60
LEDGER = [
    "datagrams_received",
    "octets_received",
    "datagrams_decoded",
    "datagrams_discarded",
    "records_received",
    "records_decoded",
    "records_absorbed",
    "records_queued",
    "records_dropped",
    "records_pending",
    "sets_undecodable",
    "sets_recovered",
    "sets_waiting",
    "set_octets_waiting",
    "sets_discarded",
    "set_octets_discarded",
    "sequence_lost_records",
    "sequence_lost_packets",
    "kernel_drops",
]
FORK = multiprocessing.get_context("fork")


@dataclass(repr=False)
class Run:
    """What the collector gave back."""

    stats: dict[str, Any] = field(default_factory=dict)
    exporters: list[dict[str, Any]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    @property
    def batches(self) -> list[Any]:
        return [event for event in self.events if isinstance(event, _core.Batch) and event.kind != "ledger"]

    @property
    def ledger(self) -> list[dict[str, Any]]:
        told = [event for event in self.events if isinstance(event, _core.Batch) and event.kind == "ledger"]
        return [row for batch in told for row in pa.record_batch(batch).to_pylist()]


def collect(datagrams: list[livetraffic.Sent], *, workers: int, rate: float = 0, wait: bool = False, **options: Any) -> Run:
    """Send the datagrams to a `Collector` on loopback and take all its events; `wait`: only once everything has been sent."""
    collector = _core.Collector([("127.0.0.1", 0, workers, "any")], columns=COLUMNS, ledger=True, **{"queue_batches": 4096, **options})
    listener = collector.listeners()[0]
    # The kernel grants twice what it reports, for its own overhead: a quarter of the buffer is as far as it may fill.
    sender = FORK.Process(target=livetraffic.send_all, args=(datagrams, listener["port"], listener["rcvbuf_granted"] // 2, rate))
    sender.start()
    collector.start()
    run = Run()
    watch = threading.Thread(target=stop_when_received, args=(collector, len(datagrams)))
    watch.start()
    if wait:
        watch.join()
    while not collector.finished:
        if event := collector.next_event(0.2):
            run.events.append(event)
    watch.join()
    sender.join(5)
    run.stats, run.exporters = collector.stats(), collector.exporters()
    assert collector.exporter_count() == len(run.exporters)
    collector.close()
    return run


def stop_when_received(collector: Any, datagrams: int) -> None:
    """Stop when all has arrived, or nothing more will."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while (stats := collector.stats())["datagrams_received"] + stats["kernel_drops"] < datagrams and time.monotonic() < deadline_s:
        time.sleep(0.02)
    collector.stop()


@dataclass(frozen=True)
class Rows:
    """Columns of all batches."""

    keys: np.ndarray
    table: pa.Table


def rows(batches: list[Any]) -> Rows:
    table = pa.Table.from_batches([pa.record_batch(batch) for batch in batches])
    exporter = last_octets(table["sampler_address"], 1).astype(np.uint64)
    domain = table["observation_domain_id"].to_numpy().astype(np.uint64)
    return Rows(key_of(exporter, domain, table["bytes"].to_numpy()), table)


def last_octets(addresses: pa.ChunkedArray, count: int) -> np.ndarray:
    """The low octets of addresses, as numbers."""
    chunks = [np.frombuffer(c.buffers()[1], np.uint8).reshape(-1, 16)[c.offset : c.offset + len(c)] for c in addresses.chunks]
    octets = np.concatenate(chunks)[:, 16 - count :].astype(np.uint64)
    return sum(octets[:, i] << np.uint64(8 * (count - 1 - i)) for i in range(count))


def assert_rows(found: Rows, truth: Truth) -> None:
    """Every flow once, and its other columns are its own."""
    assert np.array_equal(np.sort(found.keys), truth.sorted_keys)
    number = found.table["bytes"].to_numpy()
    assert np.array_equal(found.table["packets"].to_numpy(), packets_of(number))
    assert np.array_equal(found.table["src_port"].to_numpy(), number & 0xFFFF)
    assert np.array_equal(found.table["dst_port"].to_numpy(), (number >> 16) & 0xFFFF)
    assert np.array_equal(last_octets(found.table["src_addr"], 4), number + 0x0A000000)
    assert np.array_equal(last_octets(found.table["dst_addr"], 4), number + 0x0B000000)


def assert_ledger(run: Run, truth: Truth) -> None:
    """The equations of architecture section 7, each with the number that the sender knows."""
    stats = run.stats
    discarded = {reason: count for reason, count in stats["datagrams_discarded"].items() if count}
    assert stats["kernel_drops"] == stats["receive_errors"] == stats["worker_panics"] == 0
    assert stats["datagrams_received"] == truth.datagrams == stats["datagrams_decoded"] + sum(discarded.values())
    assert discarded == truth.discarded
    flow_records = len(truth.sorted_keys)
    assert stats["records_received"] == stats["records_decoded"] == flow_records
    assert stats["records_decoded"] == stats["records_queued"] + sum(stats["records_dropped"].values())
    assert stats["records_queued"] == sum(batch.num_rows for batch in run.batches)
    assert stats["templates_received"] == truth.templates
    assert stats["sets_recovered"] == truth.recovered_sets
    assert stats["sets_waiting"] + stats["sets_discarded"]["no_template"] == truth.orphan_sets
    assert stats["set_octets_waiting"] + stats["set_octets_discarded"]["no_template"] == truth.orphan_octets
    assert stats["warnings"]["unknown_set"] == truth.unknown_sets
    assert_losses(run, truth)
    assert_told(run, truth)


def assert_told(run: Run, truth: Truth) -> None:
    """The ledger sums up to the counters, and tells of every exporter what its sender knows."""
    sums: Counter[tuple[str, str | None]] = Counter()
    of: Counter[tuple[int, str]] = Counter()
    of_domain: Counter[tuple[int, int, str]] = Counter()
    for row in run.ledger:
        sums[row["counter"], row["label"]] += row["count"]
        exporter = row["exporter"][-1] if row["exporter"] else 0
        of[exporter, row["counter"]] += row["count"]
        of_domain[exporter, row["domain"], row["counter"]] += row["count"]
    counted = {(name, label): value for name in LEDGER for label, value in labels(run.stats[name]) if value}
    assert {key: count for key, count in sums.items() if count} == counted
    for exporter in range(1, livetraffic.EXPORTERS + 1):
        assert of[exporter, "datagrams_received"] == truth.sent[exporter]
        assert of[exporter, "datagrams_discarded"] == truth.faulty[exporter]
        assert of[exporter, "records_decoded"] == of[exporter, "records_queued"] + of[exporter, "records_dropped"]
    for (exporter, domain), records in truth.records.items():
        assert of_domain[exporter, domain, "records_decoded"] == records
        gaps = sum(of_domain[exporter, domain, f"sequence_lost_{unit}"] for unit in ("records", "packets"))
        assert gaps == truth.lost[exporter, domain]


def labels(value: Any) -> list[tuple[str | None, int]]:
    return list(value.items()) if isinstance(value, dict) else [(None, value)]


def assert_losses(run: Run, truth: Truth) -> None:
    """Sequence gaps, per exporter and domain, in the unit of the format; v9 counts packets, the others records."""
    by_packets = Counter({key: lost for key, lost in truth.lost.items() if key[0] % 3 == 1})
    assert run.stats["sequence_lost_packets"] == by_packets.total()
    assert run.stats["sequence_lost_records"] == truth.lost.total() - by_packets.total()
    found = {(int(row["exporter"].rsplit(".")[-1]), row["domain"]): row for row in run.exporters}
    assert found.keys() == truth.records.keys() | {key for key in found if key[1] == livetraffic.ORPHAN}
    for key, row in found.items():
        assert (row["records"], row["lost"]) == (truth.records[key], truth.lost[key]), key


@pytest.fixture(scope="module")
def small() -> tuple[list[livetraffic.Sent], Truth]:
    truth = Truth()
    return livetraffic.build(16_000, 7, truth), truth


def test_conservation() -> None:
    """FF-RB-02, FF-TR-12: 200 000 datagrams of 64 exporters, one in twenty faulty, one in a hundred never sent."""
    truth = Truth()
    datagrams = livetraffic.build(200_000, 1, truth)
    assert len(datagrams) == 200_000
    run = collect(datagrams, workers=4)
    assert_ledger(run, truth)
    assert_rows(rows(run.batches), truth)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers(workers: int, small: tuple[list[livetraffic.Sent], Truth]) -> None:
    """Exporters are split over workers by their address: the same rows, and templates never miss their data."""
    datagrams, truth = small
    run = collect(datagrams, workers=workers)
    assert_ledger(run, truth)
    assert_rows(rows(run.batches), truth)
    homes: dict[bytes, set[int]] = {}
    for batch in run.batches:
        for exporter in pa.record_batch(batch).column("sampler_address").unique().to_pylist():
            homes.setdefault(exporter, set()).add(batch.worker)
    assert all(len(workers_of) == 1 for workers_of in homes.values())
    assert len(homes) == livetraffic.EXPORTERS


def test_rotation(small: tuple[list[livetraffic.Sent], Truth]) -> None:
    """Intervals of a second while datagrams come in: nothing lost, nothing doubled, every row in the interval that it was decoded in."""
    datagrams, truth = small
    run = collect(datagrams, workers=2, rate=4500, rotate_s=1)
    assert_ledger(run, truth)
    assert_rows(rows(run.batches), truth)
    ended: set[tuple[int, int]] = set()
    for event in run.events:
        place = (event.worker, event.interval_start)
        assert place not in ended
        if isinstance(event, _core.IntervalEnd):
            ended.add(place)
        elif event.kind != "ledger":
            batch = pa.record_batch(event)
            received_s = batch.column("time_received").cast(pa.int64()).to_numpy() // 10**6
            waited = batch.column("observation_domain_id").to_numpy() == livetraffic.EARLY
            assert (received_s[~waited] == event.interval_start).all()
            assert (received_s[waited] <= event.interval_start).all(), "decoded when their template came"
    intervals = {(batch.worker, batch.interval_start) for batch in run.batches}
    assert intervals <= ended
    assert len({start for _, start in intervals}) >= 3


def test_slow_consumer(small: tuple[list[livetraffic.Sent], Truth]) -> None:
    """Nobody takes batches: the socket is still read, and every row is either in the queue or counted as dropped."""
    datagrams, truth = small
    run = collect(datagrams, workers=2, wait=True, batch_rows=1000, queue_batches=8)
    assert_ledger(run, truth)
    dropped = run.stats["records_dropped"]["queue_full"]
    found = rows(run.batches)
    assert 0 < dropped == len(truth.sorted_keys) - len(found.keys)
    assert len(np.unique(found.keys)) == len(found.keys)
    assert np.isin(found.keys, truth.sorted_keys).all()


def test_split_does_not_change_rows(small: tuple[list[livetraffic.Sent], Truth]) -> None:
    """The same datagrams through one `Decoder`, without sockets."""
    datagrams, truth = small
    decoder = _core.Decoder(columns=COLUMNS)
    for exporter, port, payload in datagrams:
        decoder.decode(payload, f"127.0.0.{exporter}", 10_000 + port)
    assert_rows(rows(decoder.flush()), truth)
