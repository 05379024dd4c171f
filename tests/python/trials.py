"""What the trials share: how long they are, a look at a running process from outside, and what its ledger must say.

A trial is a test on real processes and files by which an operator believes us. Each runs for seconds in the ordinary suite and for minutes
by `make soak`, which sets `FLOWFAST_SOAK=1`; its other variables are named where they are used.
"""

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
import pytest
from support import FLOWFAST, environment

from flowfast.ledger import read as read_ledger

LONG = os.environ.get("FLOWFAST_SOAK", "0") != "0"
T = TypeVar("T")

trial = pytest.mark.trial
"""Marks a trial: `make soak` runs these."""


def sized(short: T, long: T) -> T:
    """One or the other, by how long trials are to be."""
    return long if LONG else short


@dataclass(frozen=True)
class Look:
    """What a process takes at one moment."""

    at_s: float
    rss_mib: float
    descriptors: int
    threads: int


class Watch(threading.Thread):
    """Looks at a process at intervals, and asks its `/healthz` if an address is given."""

    def __init__(self, pid: int, *, every_s: float, health: str | None = None) -> None:
        super().__init__(daemon=True)
        self.looks: list[Look] = []
        self.healthy = 0
        self.complaints: list[str] = []
        self.slowest_answer_s = 0.0
        self._pid = pid
        self._every_s = every_s
        self._health = health
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(self._every_s):
            self.looks.append(self.look())
            if self._health:
                self._ask(self._health)

    def stop(self) -> None:
        self._ending.set()
        self.join()

    def look(self) -> Look:
        """How it is now."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        descriptors = len(os.listdir(f"/proc/{self._pid}/fd"))  # noqa: PTH208 - a directory of names that may go at any time
        return Look(time.monotonic(), int(fields["VmRSS"].split()[0]) / 1024, descriptors, int(fields["Threads"]))

    @property
    def peak_mib(self) -> float:
        return max(look.rss_mib for look in self.looks)

    def _ask(self, address: str) -> None:
        begun_s = time.monotonic()
        try:
            status, said = get(address, "/healthz")
            complaint = "" if status == 200 else said.decode()
        except OSError as error:
            complaint = repr(error)
        self.slowest_answer_s = max(self.slowest_answer_s, time.monotonic() - begun_s)
        self.healthy += not complaint
        self.complaints += [complaint] if complaint else []


@contextmanager
def watching(pid: int, *, every_s: float, health: str | None = None) -> Iterator[Watch]:
    """Look at a process for as long as the block runs."""
    watch = Watch(pid, every_s=every_s, health=health)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


@contextmanager
def limited_to(processors: float, pid: int) -> Iterator[bool]:
    """Give a process no more than so much processor time for as long as the block runs; False if this machine does not let us.

    For that it is in a control group of its own (cgroups v1 or v2): where sender and receiver share the processors, only so can one offer
    the other many times what it takes.
    """
    home, group = _cpu_groups(pid)
    try:
        group.mkdir()
    except OSError:
        yield False
        return
    try:
        yield _limit(group, processors, pid)
    finally:
        members = group / "cgroup.procs"
        for each in members.read_text().split() if members.exists() else ():
            (home / "cgroup.procs").write_text(each)
        group.rmdir()


def _cpu_groups(pid: int) -> tuple[Path, Path]:
    """The control group that shares out processor time to a process, and one for it alone."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    controllers = next((each for each in paths if "cpu" in each.split(",")), "")  # of v2 none is named
    root = Path("/sys/fs/cgroup", controllers)
    return root / paths.get(controllers, "/").lstrip("/"), root / f"flowfast-trial-{pid}"


def _limit(group: Path, processors: float, pid: int) -> bool:
    quota_us, period_us = round(processors * 100_000), 100_000
    limits = {"cpu.cfs_period_us": f"{period_us}", "cpu.cfs_quota_us": f"{quota_us}", "cpu.max": f"{quota_us} {period_us}"}
    offered = [name for name in limits if (group / name).exists()]
    try:
        for name in offered:
            (group / name).write_text(limits[name])
        if offered:
            (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return bool(offered)


def get(address: str, page: str) -> tuple[int, bytes]:
    """A page of a collector: its status and content. Raises OSError if there is no answer."""
    connection = http.client.HTTPConnection(address, timeout=120)
    try:
        connection.request("GET", page)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def counters_of(address: str) -> dict:
    """The counters of a collector that runs, as they were published last."""
    return json.loads(get(address, "/stats")[1])["counters"]


def wait_until(condition, timeout_s: float = 60) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def total(counters: dict, name: str) -> int:
    """A counter of a summary, over its labels; it leaves out what is 0."""
    value = counters.get(name, 0)
    return sum(value.values()) if isinstance(value, dict) else value


def assert_balance(summary: dict, out: Path | None = None) -> None:
    """The equations of the ledger (docs/concepts/ledger.md), in the summary and, of a directory, by `flowfast ledger`."""
    counters = summary["counters"]
    of = {name: total(counters, name) for name in counters if name != "workers"} | {"": 0}

    def value(name: str) -> int:
        return of.get(name, 0)

    assert value("datagrams_received") == value("datagrams_decoded") + value("datagrams_discarded")
    assert value("records_received") + value("biflows_split") == value("records_decoded") + value("records_absorbed")
    assert value("records_decoded") == value("records_queued") + value("records_dropped")
    assert value("sets_undecodable") == sum(value(name) for name in ("sets_recovered", "sets_discarded", "sets_late", "sets_waiting"))
    for target in summary["targets"]:
        answered = ("records_written", "records_failed", "records_deferred", "records_in_flight")
        assert target["records_handed"] == sum(target[name] for name in answered), target
    if out is not None:
        command = [*FLOWFAST, "ledger", out, "--json"]  # after a flood it has a hundred thousand exporters to add up
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment())
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["balances"]
        for name in ("datagrams_received", "datagrams_decoded", "records_decoded", "kernel_drops"):
            assert total(told["total"], name) == value(name), name


def assert_told(out: Path, records: int) -> None:
    """The ledger tells that so many records were decoded, and that the target, whatever it was called, has them."""
    ledger = read_ledger(out)
    assert not ledger.imbalances
    assert ledger.total.counts["records_decoded"] == records
    answers = ledger.targets.values()
    assert sum(each["records_written"] for each in answers) == records
    assert not any(each["records_in_flight"] for each in answers)


def rows_in(out: Path) -> int:
    """Rows of the committed Parquet files of flows, by their footers."""
    return sum(pq.read_metadata(path).num_rows for path in out.glob("flows/**/*.parquet"))
