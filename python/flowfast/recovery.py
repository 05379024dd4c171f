"""Decoding again what the journal still has: after a crash, after a full disk, and when a template came late."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flowfast import _core, logs
from flowfast.errors import reason
from flowfast.files import carry_out
from flowfast.journal import LATE, Journal, ledger_manifest_of, manifest_of, worker_of
from flowfast.sinks.rotating import LEDGER, RotatingFiles
from flowfast.units import plural

POLL_S = 0.2
RETRY_S = (1.0, 60.0)
"""How long a segment that could not be written rests: first, and at most."""


class Recovery:
    """A thread that takes one segment after the other into the targets that lack it.

    `decode` opens captures, with a path for the sets that no template came for, the worker that received them, and whether each datagram
    is a batch. `sinks`: a sink for each target, now or before.
    """

    def __init__(
        self, journal: Journal, sinks: Mapping[Path, RotatingFiles], decode: Callable[[Sequence[Path], Path, int, bool], _core.Replay]
    ) -> None:
        self._journal = journal
        self._sinks = sinks
        self._decode = decode
        self._ending = threading.Event()
        self._rest_s = RETRY_S[0]
        self._panicked: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="journal recovery", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End after the segment that is being decoded; what is left is for the next start."""
        self._ending.set()
        self._thread.join()
        for sink in list(self._sinks.values()):
            sink.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            segment = self._journal.next_segment(POLL_S)
            if segment is None:
                continue
            try:
                self._recover(segment)
                self._rest_s = RETRY_S[0]
            except Exception as error:  # whatever it was, the segment is still there, and the others may do better
                for sink in list(self._sinks.values()):
                    sink.defer()
                    sink.account.deferred(sink.account.batches_in_flight)
                self._journal.late_of(segment).unlink(missing_ok=True)
                logs.warning("recovery_failed", f"journal segment {segment} is tried again: {reason(error)}", segment=segment)
                self._journal.put_back([segment])
                self._ending.wait(self._rest_s)
                self._rest_s = min(self._rest_s * 2, RETRY_S[1])

    def _recover(self, segment: str) -> None:
        sinks = [self._sinks[root] for root in self._journal.roots_of(segment)]
        lacking = [sink for sink in sinks if not carry_out(manifest_of(sink.root, segment))]
        # Of late sets it was told that they are late.
        of_ledger = [sink for sink in sinks if sink.keeps_ledger and LATE not in segment]
        untold = [sink for sink in of_ledger if not carry_out(ledger_manifest_of(sink.root, segment))]
        if not (self._journal.directory / segment).exists():
            return
        rows = self._write(segment, lacking, untold) if lacking or untold else 0
        if LATE in segment and lacking and not rows:
            self._journal.late_of(segment).unlink(missing_ok=True)
            return  # no template came: another time
        self._journal.counters.records_recovered += rows
        self._journal.retire(segment)
        self._panicked.discard(segment)
        self._journal.counters.segments_recovered += 1
        self._journal.try_late()
        what = "data sets whose template came late" if LATE in segment else "a segment that was not committed"
        logs.info("recovered", f"{plural(rows, 'record')} out of the journal: {what}", segment=segment, records=rows)

    def _write(self, segment: str, lacking: Sequence[RotatingFiles], untold: Sequence[RotatingFiles]) -> int:
        """Decode a segment for the sinks that lack its rows, and for those that the ledger of it was not told; commit it in each of them.
        The rows that these sinks lacked are returned.
        """
        states = self._journal.states() if LATE in segment else []
        # A fault of our own costs the rows of a batch that is not closed: where there was one, each datagram is a batch.
        singly = segment in self._panicked
        captures = [*states, self._journal.directory / segment]
        replay = self._decode(captures, self._journal.late_of(segment), worker_of(segment), singly)
        replay.start()
        rows = 0
        try:
            while not replay.finished:
                event = replay.next_event(POLL_S)
                if self._ending.is_set():
                    raise InterruptedError("flowfast was told to stop")
                if isinstance(event, _core.Batch):
                    rows += _give(event, lacking, untold)
        finally:
            replay.close()
        if replay.stats()["worker_panics"] and segment not in self._panicked:
            self._panicked.add(segment)
            raise OSError("it holds a datagram that runs into a fault of flowfast's own; now datagram by datagram")
        if replay.stats()["journal_errors"]:
            raise OSError("the sets without a template could not be written")
        for sink in lacking:
            if not sink.settle(manifest_of(sink.root, segment), None):
                raise sink.account.last_error or OSError("the rows could not be written")
        for sink in _answering(lacking, untold) if rows else untold:
            sink.settle_ledger(ledger_manifest_of(sink.root, segment), None)
        return rows


def _give(batch: _core.Batch, lacking: Sequence[RotatingFiles], untold: Sequence[RotatingFiles]) -> int:
    """Hand a batch to the sinks that lack it; its rows, as far as any sink does and they are records."""
    for sink in _answering(lacking, untold):
        if batch.kind == LEDGER:
            sink.tell(batch, answers_only=sink not in untold)
            continue
        sink.account.hand(batch)
        if sink in lacking:
            sink.write(batch)
        else:
            sink.account.wrote([batch.id])  # by the run before, which could not tell of it any more
    return batch.num_rows if lacking and batch.kind != LEDGER else 0


def _answering(lacking: Sequence[RotatingFiles], untold: Sequence[RotatingFiles]) -> list[RotatingFiles]:
    """Sinks of which the ledger has something to tell: of what they get, and of what was received."""
    return [*untold, *(sink for sink in lacking if sink not in untold)]
