import errno
import itertools
import threading
import time

import pytest
from support import hand_made

from flowfast.errors import TargetLost
from flowfast.pipeline import POLL_S, Pipeline, SinkRunner
from flowfast.sinks import Account


class Batches:
    """A source of so many batches of ten rows."""

    def __init__(self, count):
        self._left = [hand_made(index * 10, 10) for index in reversed(range(count))]

    @property
    def finished(self):
        return not self._left

    def next_event(self, timeout_s):
        return self._left.pop() if self._left else None


class Gated:
    """A sink that writes nothing before its gate opens."""

    def __init__(self, account):
        self.account = account
        self.gate = threading.Event()
        self.rows = []

    def write(self, batch):
        self.gate.wait(10)
        self.rows += batch.rows["bytes"].to_pylist()
        self.account.wrote([batch.id])

    def end_interval(self, worker, interval_start):
        pass

    def close(self):
        pass


class Broken(Gated):
    """A sink with a fault of its own."""

    def write(self, batch):
        raise ZeroDivisionError

    def close(self):
        raise ZeroDivisionError


class Lost(Gated):
    """A sink that is lost at its second batch, and would tell if it were asked again."""

    calls = 0

    def write(self, batch):
        self.calls += 1
        if self.calls == 2:
            raise TargetLost("gone")
        super().write(batch)


class Refusing(Gated):
    """A sink that the operating system refuses every other write, and all of them while `refused` is set."""

    def __init__(self, account):
        super().__init__(account)
        self.refused = threading.Event()
        self.gate.set()
        self.calls = 0

    def write(self, batch):
        self.calls += 1
        if self.refused.is_set() or self.calls % 2:
            raise PermissionError(errno.EACCES, "Permission denied")
        super().write(batch)


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr("flowfast.pipeline.RETRY_S", (0.001, 0.01))
    monkeypatch.setattr("flowfast.pipeline.LAST_PATIENCE_S", 0.2)


@pytest.fixture
def ticks_with_every_event(monkeypatch):
    monkeypatch.setattr("flowfast.pipeline.POLL_S", 0.0)


def runner(kind, queue_rows=1000):
    account = Account(kind.__name__)
    sink = kind(account)
    return sink, SinkRunner(sink, account, queue_rows)


def run(count, *runners, wait, on_tick=lambda: None):
    return Pipeline(Batches(count), runners, wait=wait, on_tick=on_tick).run()


def test_a_slow_sink_loses_its_own_rows_only():
    slow, slow_runner = runner(Gated, queue_rows=50)
    quick, quick_runner = runner(Gated, queue_rows=100_000)
    quick.gate.set()
    threading.Timer(0.5, slow.gate.set).start()
    assert run(100, slow_runner, quick_runner, wait=False)
    assert quick.rows == list(range(1000))
    assert quick_runner.account.records_dropped == 0
    account = slow_runner.account
    assert account.records_handed + account.records_dropped == 1000
    assert account.records_written == account.records_handed == len(slow.rows) <= 70
    assert account.records_in_flight == 0


def test_waiting_for_a_slow_sink_loses_nothing():
    slow, slow_runner = runner(Gated, queue_rows=50)
    threading.Timer(0.3, slow.gate.set).start()
    assert run(100, slow_runner, wait=True)
    assert slow.rows == list(range(1000))
    assert slow_runner.account.records_dropped == 0


def test_ticks_come_by_the_clock_and_not_with_every_event():
    sink, its_runner = runner(Gated, queue_rows=100_000)
    sink.gate.set()
    ticks = []
    begun = time.monotonic()
    assert run(1000, its_runner, wait=True, on_tick=lambda: ticks.append(time.monotonic()))
    assert 1 <= len(ticks) <= 2 + (time.monotonic() - begun) / POLL_S
    assert len(sink.rows) == 10_000


def test_a_batch_larger_than_the_queue_finds_room():
    sink, its_runner = runner(Gated, queue_rows=5)
    sink.gate.set()
    assert run(3, its_runner, wait=True)
    assert sink.rows == list(range(30))


@pytest.mark.parametrize(("kind", "written"), [(Broken, 0), (Lost, 10)])
def test_a_broken_sink_is_counted_and_the_others_go_on(kind, written):
    broken, broken_runner = runner(kind)
    broken.gate.set()
    good, good_runner = runner(Gated)
    good.gate.set()
    assert run(10, broken_runner, good_runner, wait=False)
    assert good_runner.account.records_written == 100
    account = broken_runner.account
    assert (account.records_handed, account.records_written, account.records_failed) == (100, written, 100 - written)
    assert account.records_in_flight == 0
    assert account.failing


def test_a_lost_sink_is_not_asked_again():
    sink, its_runner = runner(Lost)
    sink.gate.set()
    run(10, its_runner, wait=False)
    assert sink.calls == 2


@pytest.mark.usefixtures("quick_retries")
def test_a_sink_that_fails_half_its_writes_gets_every_row_once_and_in_order():
    refusing, refusing_runner = runner(Refusing)
    good, good_runner = runner(Gated)
    good.gate.set()
    assert run(50, refusing_runner, good_runner, wait=False)
    assert refusing.rows == good.rows == list(range(500))
    account = refusing_runner.account
    assert (account.records_written, account.records_failed, account.records_in_flight) == (500, 0, 0)
    assert account.retries == account.errors == 50
    assert not account.failing


@pytest.mark.usefixtures("quick_retries", "ticks_with_every_event")
def test_a_dead_sink_holds_no_more_than_its_queue_and_costs_the_others_nothing():
    dead, dead_runner = runner(Refusing, queue_rows=50)
    dead.refused.set()
    good, good_runner = runner(Gated, queue_rows=100_000)
    good.gate.set()
    held = []
    assert run(500, dead_runner, good_runner, wait=False, on_tick=lambda: held.append(dead_runner.rows_waiting))
    assert max(held) <= 50
    assert good.rows == list(range(5000))
    account = dead_runner.account
    assert account.records_written == account.records_in_flight == 0
    assert account.records_handed + account.records_dropped == 5000
    assert account.failed_by_reason == {"no_permission": account.records_handed}
    assert account.failing


@pytest.mark.usefixtures("quick_retries")
def test_a_sink_that_comes_back_gets_what_waited():
    sink, its_runner = runner(Refusing)
    sink.refused.set()
    threading.Timer(0.05, sink.refused.clear).start()
    assert run(20, its_runner, wait=True)
    assert sink.rows == list(range(200))
    assert not its_runner.account.failing


@pytest.mark.usefixtures("ticks_with_every_event")
def test_runners_change_between_two_events():
    stays, stays_runner = runner(Gated)
    goes, goes_runner = runner(Gated)
    comes, comes_runner = runner(Gated)
    for sink in (stays, goes, comes):
        sink.gate.set()
    ticks = itertools.count()

    def tick():
        if next(ticks) == 40:
            pipeline.change([comes_runner, stays_runner], wait=True)

    pipeline = Pipeline(Batches(100), [stays_runner, goes_runner], wait=True, on_tick=tick)
    assert pipeline.run()
    assert stays.rows == list(range(1000))
    assert goes.rows + comes.rows == stays.rows
    assert goes.rows
    assert comes.rows


def test_abandoning_does_not_wait_for_a_stuck_sink():
    stuck, stuck_runner = runner(Gated, queue_rows=20)
    begun = time.monotonic()

    def tick():
        if time.monotonic() - begun > 0.3:
            pipeline.abandon()

    pipeline = Pipeline(Batches(10), [stuck_runner], wait=True, on_tick=tick)
    assert not pipeline.run()
    assert time.monotonic() - begun < 5
    account = stuck_runner.account
    assert account.records_written == 0
    assert account.records_in_flight == account.records_handed > 0
    stuck.gate.set()
