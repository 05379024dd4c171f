"""From the core to the targets: every batch goes to every sink, each behind a queue and a thread of its own."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Protocol, TypeGuard

from flowfast._core import Batch, IntervalEnd
from flowfast.errors import TargetLost
from flowfast.journal import Journal
from flowfast.sinks import Account, Sink
from flowfast.sinks.rotating import RotatingFiles

QUEUE_ROWS = 1 << 19
"""Rows that wait before a sink: what a slow one may hold in memory."""
POLL_S = 0.1
"""How long nothing else happens while events are handed on, or room in a queue or a thread's end is waited for."""
RETRY_S = (0.1, 5.0)
"""Pause before the first retry of a write that the operating system refused; it doubles up to the second."""
LAST_PATIENCE_S = 5.0
"""How long a sink that fails is still retried once no more rows come."""

Event = Batch | IntervalEnd


class Source(Protocol):
    """Where events come from: `_core.Collector` or `_core.Replay`."""

    @property
    def finished(self) -> bool:
        """No more events will come."""

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event, or None after `timeout_s`."""


class SinkRunner:
    """A sink with its thread, its queue and its ledger.

    What the operating system refuses (a full disk, a directory that is gone, a permission) is tried again until it works, while later rows
    wait in the queue; rows that then find it full are dropped and counted, so memory stays bounded and the other sinks wait for nothing.

    `journal`: the journal that gives rows again which the sink, of rotating files then, could not take.
    """

    def __init__(self, sink: Sink, account: Account, queue_rows: int = QUEUE_ROWS, journal: Journal | None = None) -> None:
        self.account = account
        self.keeps_ledger = isinstance(sink, RotatingFiles) and sink.keeps_ledger
        self._journal = journal
        self._missing: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._missing_lock = threading.Lock()
        self.lost: TargetLost | None = None
        self._sink = sink
        self.queue_rows = queue_rows
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        """Events, and None when no more will come. Batches are many: this wakes a thread with the least work."""
        self._rows_offered = self._rows_taken = 0
        """Counted by the thread that offers, and by the one that takes: no counter has two writers."""
        self._has_room = threading.Event()
        self._ending = threading.Event()
        self._ending_s = 0.0
        self.events_taken = 0
        self.seconds_writing = 0.0
        self._thread = threading.Thread(target=self._run, name=f"sink {account.target}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, event: Event) -> bool:
        """Queue an event; False if rows find no room. An empty queue takes a batch of any size."""
        rows = _rows(event)
        if rows and not self._takes(rows):
            self._has_room.clear()
            if not self._takes(rows):  # nothing was taken before the flag was cleared: who waits for it is woken
                return False
        if _has_records(event):
            self.account.hand(event)
        self._rows_offered += rows
        self._queue.put(event)
        return True

    def _takes(self, rows: int) -> bool:
        return not self.rows_waiting or self.rows_waiting + rows <= self.queue_rows

    def expect(self, end: IntervalEnd) -> None:
        """The end of an interval is about to be offered to all sinks of its worker: none of them decides on its segment alone."""
        if self._journal is not None and isinstance(self._sink, RotatingFiles) and end.segment is not None:
            self._journal.owe(end.segment, self._sink.root)

    def drop(self, event: Event) -> None:
        """An event finds no room, and nobody waits."""
        if self._journal is not None and _has_records(event):
            self.account.hand(event)
            self._miss(event)
        else:
            self.account.records_dropped += _rows(event)

    @property
    def beats(self) -> int:
        """Grows whenever the sink takes something, or refuses it: while it stays the same and rows wait, the sink is stuck."""
        return self.events_taken + self.account.errors

    @property
    def rows_waiting(self) -> int:
        """Rows in the queue."""
        return self._rows_offered - self._rows_taken

    def wait_for_room(self, timeout_s: float) -> None:
        """After `offer` has found no room: wait for some, `timeout_s` at most."""
        self._has_room.wait(timeout_s)

    def end(self) -> None:
        """No more events will come: the sink closes when it has taken the queued ones."""
        self._ending_s = monotonic()
        self._ending.set()
        self._queue.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the sink to close, `timeout_s` at most; whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (event := self._take()) is not None:
            begun_s = monotonic()
            self._give_until_taken(event)
            self.seconds_writing += monotonic() - begun_s
            self.events_taken += 1
        try:
            self._sink.close()
        except Exception as error:
            self.account.lost(self.account.batches_in_flight, error)

    def _give_until_taken(self, event: Event) -> None:
        pause_s, longest_s = RETRY_S
        while True:
            try:
                self._give(event)
                return self.account.took()
            except TargetLost as error:
                self.lost = error
                return self.account.lost(_batches(event), error)
            except OSError as error:
                if not self._may_retry_after(pause_s):
                    return self._give_up(event, error)
                self.account.retrying(error)
                pause_s = min(2 * pause_s, longest_s)
            except Exception as error:  # a sink may be anybody's: whatever it raises, its rows are counted and the others go on
                return self._give_up(event, error)

    def _give_up(self, event: Event, error: Exception) -> None:
        if self._journal is None or isinstance(event, IntervalEnd):
            self.account.lost(_batches(event), error)
        else:
            self.account.fault(error)
            self._miss(event)

    def _may_retry_after(self, pause_s: float) -> bool:
        """Wait before a retry; False, at once, if no more rows come and there was time enough."""
        if not self._ending.wait(pause_s):
            return True
        left_s = self._ending_s + LAST_PATIENCE_S - monotonic()
        sleep(max(0, min(left_s, pause_s, POLL_S)))
        return left_s > 0

    def _take(self) -> Event | None:
        event = self._queue.get()
        if event is not None:
            self._rows_taken += _rows(event)
            if not self._has_room.is_set():
                self._has_room.set()
        return event

    def _give(self, event: Event) -> None:
        if isinstance(event, IntervalEnd):
            if self._journal is None or not isinstance(self._sink, RotatingFiles):
                self._sink.end_interval(event.worker, event.interval_start)
            else:
                with self._missing_lock:
                    missing = self._missing.pop((event.worker, event.interval_start), [])
                self._journal.settle(self._sink, event, missing)
        elif self.lost is not None:
            self.account.lost(_batches(event), self.lost)
        else:
            self._sink.write(event)

    def _miss(self, batch: Batch) -> None:
        with self._missing_lock:
            self._missing[batch.worker, batch.interval_start] += _batches(batch)


class Pipeline:
    """Takes every event from a source and offers it to every sink.

    `wait`: wait for a sink whose queue is full, else its rows are dropped, for that sink only, and counted. `on_tick` is called about
    every `POLL_S`, whatever happens, on the thread that runs the pipeline.
    """

    def __init__(self, source: Source, runners: Sequence[SinkRunner], *, wait: bool, on_tick: Callable[[], None]) -> None:
        self._source = source
        self._runners = list(runners)
        self._next_runners: list[SinkRunner] | None = None
        self._runners_before: dict[int, list[SinkRunner]] = {}
        self._workers_before: tuple[int, ...] = ()
        self._retired: list[SinkRunner] = []
        self._wait = wait
        self._on_tick = on_tick
        self._abandoned = False
        self._tick_due_s = 0.0

    def run(self) -> bool:
        """Run until the source has finished and every sink has closed; False if it was abandoned before."""
        for runner in self._runners:
            runner.start()
        while not self._abandoned:
            event = self._source.next_event(POLL_S)
            if event is not None:
                self._hand(event)
            elif self._source.finished:
                break
            self._tick()
            self._change_runners()
        for runner in self._active():
            runner.end()
        for runner in (*self._active(), *self._retired):
            while not self._abandoned and not runner.join(POLL_S):
                self._on_tick()
        return not self._abandoned

    def _tick(self) -> None:
        now_s = monotonic()
        if now_s >= self._tick_due_s:
            self._tick_due_s = now_s + POLL_S
            self._on_tick()

    def change(self, runners: Sequence[SinkRunner], *, wait: bool, workers: Sequence[int] = ()) -> None:
        """Hand to these runners from the next event on, and what these workers send once their interval has ended; those left out take what
        they have and close. Call on the thread of `run`.
        """
        self._next_runners, self._wait, self._workers_before = list(runners), wait, tuple(workers)

    def _change_runners(self) -> None:
        """What `change` asks for, between two events: one event goes to all runners of one set."""
        if self._next_runners is None:
            return
        present = self._active()
        for runner in self._next_runners:
            if runner not in present:
                runner.start()
        for worker in self._workers_before:
            self._runners_before.setdefault(worker, self._runners)
        self._runners, self._next_runners = self._next_runners, None
        self._end_left_out(present)

    def _active(self) -> list[SinkRunner]:
        """Runners that some worker hands to."""
        sets = [self._runners, *self._runners_before.values()]
        return list(dict.fromkeys(runner for runners in sets for runner in runners))

    def _end_left_out(self, before: Sequence[SinkRunner]) -> None:
        active = self._active()
        left_out = [runner for runner in before if runner not in active]
        for runner in left_out:
            runner.end()
        self._retired += left_out

    def take_closed(self) -> list[SinkRunner]:
        """Runners that were left out and have closed since the last call."""
        closed = [runner for runner in self._retired if runner.join(0)]
        self._retired = [runner for runner in self._retired if runner not in closed]
        return closed

    def abandon(self) -> None:
        """Wait for nothing any more: `run` returns, and rows that no sink has answered stay in flight."""
        self._abandoned = True

    def _hand(self, event: Event) -> None:
        runners = self._runners_before.get(event.worker, self._runners)
        if isinstance(event, IntervalEnd):
            for runner in runners:
                runner.expect(event)
        self._offer(event, runners)
        if isinstance(event, IntervalEnd) and event.worker in self._runners_before:
            before = self._active()
            del self._runners_before[event.worker]
            self._end_left_out(before)

    def _offer(self, event: Event, runners: Sequence[SinkRunner]) -> None:
        for runner in runners:
            if _is_ledger(event) and not runner.keeps_ledger:
                continue
            while not runner.offer(event):
                if not self._wait or self._abandoned:
                    runner.drop(event)
                    break
                runner.wait_for_room(POLL_S)
                self._tick()


def _is_ledger(event: Event) -> bool:
    return not isinstance(event, IntervalEnd) and event.kind == "ledger"


def _has_records(event: Event) -> TypeGuard[Batch]:
    """Whether a target answers for it: rows of the ledger are no records."""
    return not isinstance(event, IntervalEnd) and not _is_ledger(event)


def _rows(event: Event) -> int:
    """Records of an event."""
    return event.num_rows if _has_records(event) else 0


def _batches(event: Event) -> list[int]:
    """The batch that an event is, by its id, if it has records to answer for."""
    return [event.id] if _has_records(event) else []
