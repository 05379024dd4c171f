"""The journal when the disk fails it: power cuts, full disks, targets that cannot be written, and templates that come late."""

import errno
import json
import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support import collecting, run, send
from test_journal import RECORDS, TEMPLATE, free_port, identities, ipfix, netflow5_of, packets, written
from trials import assert_told, counters_of, wait_until

from flowfast import files, journal, journal_disk
from flowfast.commands.collect import open_collector
from flowfast.commands.targets import open_runners
from flowfast.commands.upkeep import Upkeep, open_journal
from flowfast.config import load
from flowfast.ledger import read as read_ledger
from flowfast.pipeline import Pipeline
from flowfast.sinks import ROW_WRITERS
from oracle import exporter


class Durable:
    """What a power cut leaves of a directory: each name and each content as it was when it was last made durable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}
        self._held: list[int] = []  # an inode that is open is not used for another file

    def sync(self, path: Path) -> None:
        """In place of `files.sync`."""
        with self._lock:
            self._held.append(os.open(path, os.O_RDONLY))
            inode = os.fstat(self._held[-1]).st_ino
            if path.is_dir():
                self._names[inode] = {each.name: (each.stat().st_ino, each.is_dir()) for each in path.iterdir()}
            else:
                self._contents[inode] = path.read_bytes()

    def cut(self, place: Path) -> None:
        """Copy what is left to another place."""
        with self._lock:
            self._copy(self._root.stat().st_ino, place, is_directory=True)

    def _copy(self, inode: int, place: Path, *, is_directory: bool) -> None:
        if not is_directory:
            place.write_bytes(self._contents.get(inode, b""))
            return
        place.mkdir()
        for name, (each, its_kind) in self._names.get(inode, {}).items():
            self._copy(each, place / name, is_directory=its_kind)

    def close(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)


class InProcess:
    """`flowfast collect` without its command line, for faults to be put in."""

    def __init__(self, *flags: str) -> None:
        names = iter(flags)
        settings = load(
            {name.removeprefix("--"): [value] if name in {"--to", "--listen"} else value for name, value in zip(names, names, strict=True)},
            None,
            {},
        )
        self.journal = open_journal(settings)
        self.collector = open_collector(settings, journal=self.journal)
        self.runners = open_runners(settings, replace=False, journal=self.journal)
        self.upkeep = Upkeep(self.journal, self.collector, settings)
        self._pipeline = Pipeline(self.collector, self.runners, wait=False, on_tick=lambda: None)
        self._thread = threading.Thread(target=self._pipeline.run)
        self.port = self.collector.listeners()[0]["port"]

    def __enter__(self):
        self.collector.start()
        self.upkeep.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.collector.stop()
        self._thread.join()
        self.collector.close()
        self.upkeep.close()

    def wait_for(self, counter: str, value: int) -> None:
        """Until a counter has reached a value."""
        wait_until(lambda: self.collector.stats()[counter] >= value)


def recover(out: Path) -> None:
    """Start on a directory, wait until its journal has been decoded, and stop."""
    with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s") as running:
        running.wait_for("writing")
        wait_until(lambda: not list((out / "journal").glob("[0-9]*.pcap")))
        running.stop()


def test_a_power_cut_costs_what_was_not_yet_durable(tmp_path, monkeypatch):
    durable = Durable(tmp_path / "disk")
    for module in (files, journal, journal_disk):
        monkeypatch.setattr(module, "sync", durable.sync)
    disk = tmp_path / "disk"
    disk.mkdir()
    out = disk / "out"
    first, marked = 1000, []
    with InProcess("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s") as running:
        send(running.port, [TEMPLATE])
        for turn in range(6):
            for _ in range(25):
                send(running.port, [netflow5_of(first), ipfix(first + RECORDS)])
                first += 2 * RECORDS
                time.sleep(0.005)
            running.wait_for("datagrams_journaled", 1 + 51 * turn + 50)
            running.upkeep._watch.look()
            marked.append(first)
            send(running.port, [netflow5_of(first)])  # in the buffer, in the page cache, or durable by chance
            durable.cut(tmp_path / f"cut{turn}")
            running.wait_for("datagrams_received", 1 + 51 * (turn + 1))
            first += RECORDS
    durable.close()
    for turn, end in enumerate(marked):
        recovered = tmp_path / f"cut{turn}" / "out"
        recover(recovered)
        found = written(recovered)
        sent = set(range(1000, end))
        assert not sent - found.keys(), "what was durable is there"
        assert max(found.values()) == 1
        assert not [each.name for each in (recovered / ".incomplete").iterdir()]
        assert_told(recovered, found.total())


def test_what_a_target_could_not_take_comes_from_the_journal(tmp_path, monkeypatch):
    parquet = ROW_WRITERS["parquet"]
    faults = iter([True, True])

    class Failing(parquet):
        """The disk is full when the first files are closed."""

        def close(self):
            if next(faults, False):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().close()

    monkeypatch.setitem(ROW_WRITERS, "parquet", Failing)
    with InProcess("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{tmp_path}/out", "--rotate", "1s") as running:
        for turn in range(4):
            send(running.port, [netflow5_of(1000 + RECORDS * (10 * turn + each)) for each in range(10)])
            time.sleep(0.4)
        wait_until(lambda: running.journal.counters.segments_recovered)
        wait_until(lambda: not running.journal.counters.segments_waiting)
    assert sorted(written(tmp_path / "out").items()) == [(each, 1) for each in range(1000, 1000 + 40 * RECORDS)]
    account = running.runners[0].account
    assert account.records_handed == account.records_written + account.records_deferred
    assert account.records_deferred == running.journal.counters.records_recovered > 0
    assert account.records_in_flight == account.records_failed == 0
    assert_told(tmp_path / "out", 40 * RECORDS)


def test_a_late_template_brings_its_sets_back_into_their_partition(tmp_path):
    out, port = tmp_path / "out", free_port()
    flags = ("--listen", f"udp://127.0.0.1:{port}", "--to", f"parquet:{out}", "--rotate", "1s")
    with collecting(*flags) as running:
        running.wait_for("writing")
        begun_s = int(time.time())
        send(port, [ipfix(1000), netflow5_of(2000)])
        wait_until(lambda: list((out / "journal").glob("*.late1.pcap")))
        late_s = int(time.time())
        running.process.kill()
        running.process.wait()
    assert sorted(written(out)) == list(range(2000, 2000 + RECORDS))
    with collecting(*flags) as running:
        running.wait_for("writing")
        send(port, [TEMPLATE, ipfix(3000)])
        wait_until(lambda: not list((out / "journal").glob("*.late*.pcap")))
        summary = running.stop()
    assert summary["journal"]["records_recovered"] == RECORDS
    assert sorted(written(out)) == [each + i for each in (1000, 2000, 3000) for i in range(RECORDS)]
    (late,) = [path for path in out.glob("flows/**/*.parquet") if 1000 in pq.read_table(path, partitioning=None)["bytes"].to_pylist()]
    start = time.strptime(late.name.split("-")[1], "%Y%m%dT%H%M%SZ")
    seconds = time.mktime(start) - time.timezone
    assert begun_s <= seconds <= late_s
    received = pq.read_table(late, partitioning=None)["time_received"].cast("int64").to_pylist()
    assert all(seconds <= each / 1e6 < seconds + 1 for each in received)


def test_records_whose_common_properties_do_not_come_are_in_their_interval(tmp_path):
    # FF-EN-06: they wait no longer than the segment is kept that they came in.
    out = tmp_path / "out"
    with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        define = exporter.templates(exporter.template(256, exporter.Field(137, 1), exporter.Field(1, 4)))
        send(port, [exporter.ipfix(define, exporter.a_set(256, bytes([9, 0, 0, 0, 77])))])
        wait_until(lambda: written(out))
        summary = running.stop()
    assert written(out) == {77: 1}
    assert summary["counters"]["warnings"]["properties_unknown"] == 1


def test_a_segment_decodes_alone(tmp_path):
    out = tmp_path / "out"
    with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s", "--journal", "keep") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send(port, [TEMPLATE])
        wait_until(lambda: list((out / "journal/kept").glob("*.pcap")))
        send(port, [ipfix(1000), netflow5_of(2000)])
        running.stop()
    last = max((out / "journal/kept").glob("*.pcap"))
    assert [each for payload in packets(last) for each in identities(payload)] == [
        each + i for each in (1000, 2000) for i in range(RECORDS)
    ]
    done = run("convert", last, "--to", tmp_path / "alone.ndjson")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "alone.ndjson").read_text().splitlines()]
    assert sorted(row["bytes"] for row in rows) == [each + i for each in (1000, 2000) for i in range(RECORDS)]
    if shutil.which("tshark"):
        fields = [flag for name in ("ip.src", "ip.dst", "udp.dstport", "cflow.version") for flag in ("-e", name)]
        seen = subprocess.run(
            ["tshark", "-r", last, "-d", f"udp.port=={port},cflow", "-T", "fields", *fields], check=True, capture_output=True, text=True
        ).stdout.split("\n")
        seen = [line for line in seen if not line.endswith("\t")]  # what flowfast notes is of no version
        assert seen[:3] == [f"127.0.0.1\t{to}\t{port}\t{version}" for to, version in (("192.0.0.8", 10), ("0.0.0.0", 10), ("0.0.0.0", 5))]


def test_the_journal_is_bounded(tmp_path):
    out = tmp_path / "out"
    flags = ("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1h", "--journal-size", "1M")
    with collecting(*flags) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        sent = 0
        while sent < 2400 or not any(out.glob("journal/*.pcap")):
            send(port, [netflow5_of(1000 + RECORDS * (sent + each)) for each in range(50)])
            sent += 50
            time.sleep(0.01)
        assert running.wait_for("journal_stopped")["octets"] > 1 << 20
        send(port, [netflow5_of(1000 + RECORDS * sent)])
        summary = running.stop()
    assert summary["counters"]["datagrams_unjournaled"] > 0
    assert written(out).total() == RECORDS * (sent + 1)


@contextmanager
def small_disk(place: Path, size: str):
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
@pytest.mark.parametrize("full", ["journal", "output", "both"])
def test_a_disk_that_fills_up_and_is_freed(tmp_path, full):
    with small_disk(tmp_path / "disk", "4m") as disk:
        out = (tmp_path if full == "journal" else disk) / "out"
        directory = (tmp_path if full == "output" else disk) / "journal"
        flags = ("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s", "--journal-dir", str(directory))
        with collecting(*flags) as running:
            port = running.wait_for("listening")["port"]
            running.wait_for("writing")
            sent = 0

            def send_for(seconds):
                nonlocal sent
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    send(port, [netflow5_of(1000 + RECORDS * (sent + each)) for each in range(5)])
                    sent += 5
                    time.sleep(0.02)

            send_for(1.2)
            ballast = disk / "ballast"
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            ballast.write_bytes(bytes(max(free - 8192, 0)))
            send_for(2.5)
            ballast.unlink()
            send_for(2.5)
            wait_until(lambda: len(list(directory.glob("[0-9]*.pcap"))) <= 1)
            summary = running.stop()
        target, counters = summary["targets"][0], summary["counters"]
        found = written(out)
        assert counters["datagrams_received"] == sent
        assert max(found.values()) == 1
        lost = target["records_failed"] + sum(counters.get("records_dropped", {}).values())
        assert found.total() + lost == RECORDS * sent
        assert found.total() == target["records_written"] + summary["journal"]["records_recovered"]
        if full == "output":
            assert lost == 0, "the journal had it all"
        assert {1000, 1000 + RECORDS * sent - 1} <= found.keys()
        assert not read_ledger(out).imbalances


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_templates_that_found_the_disk_full_are_kept_once_it_is_freed(tmp_path):
    port = free_port()
    with small_disk(tmp_path / "disk", "1m") as disk:
        directory, ballast = disk / "journal", disk / "ballast"
        out = tmp_path / "out"
        flags = ("--listen", f"udp://127.0.0.1:{port}", "--to", f"parquet:{out}", "--rotate", "1s", "--journal-dir", str(directory))
        with collecting(*flags, "--http", "127.0.0.1:0") as running:
            address = running.wait_for("serving")["address"]
            running.wait_for("writing")
            send(port, [netflow5_of(500)])
            kept = directory / "templates-0.pcap"
            wait_until(kept.exists)
            before = kept.read_bytes()
            ballast.write_bytes(bytes(os.statvfs(disk).f_bfree * os.statvfs(disk).f_bsize))
            send(port, [TEMPLATE, ipfix(1000)])
            wait_until(lambda: counters_of(address)["journal_errors"])
            assert kept.read_bytes() == before, "what was kept is not given up for what cannot be written"
            ballast.unlink()

            def is_kept() -> bool:
                send(port, [netflow5_of(2000)])
                return kept.read_bytes() != before

            wait_until(is_kept)
            running.process.kill()
            running.process.wait()
        (each,) = json.loads(run("templates", directory, "--json").stdout)
        assert (each["exporter"], each["template_id"]) == ("127.0.0.1", 256)
        with collecting(*flags) as running:
            running.wait_for("writing")
            send(port, [ipfix(3000)])
            wait_until(lambda: 3000 in written(out))
            running.stop()
    assert {1000, 3000} <= written(out).keys()
