"""A directory of rotating files: one for each table, worker and interval, committed when the interval ends."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from flowfast import logs
from flowfast._core import Batch
from flowfast.errors import TargetError, reason
from flowfast.files import PendingFile, carry_out, pending_rotating, probe_directory, write_manifest
from flowfast.sinks.account import Account
from flowfast.sinks.answers import Answers
from flowfast.sinks.writer import RowWriter, SchemaChanged

MAX_OPEN_FILES = 256
"""Beyond it the file that was begun first is closed early: an exporter decides how many wire tables there are."""
MAX_BUFFERED_OCTETS = 512 << 20
"""Beyond it the file that holds most writes a row group early."""

LEDGER = "ledger"
_Key = tuple[str, int, int]


@dataclass
class _OpenFile:
    key: _Key
    pending: PendingFile
    writer: RowWriter
    batches: list[int] = field(default_factory=list)
    """What is in it, but none of the ledger's."""
    octets: int = 0


class RotatingFiles:
    """Files that readers see complete or not at all. A fault loses the rows of one file; the next file is tried afresh.

    With a journal, which knows its process as `run`, all files of an interval appear together or not at all, by `settle`: what would be
    lost is deferred, for the journal gives it again.
    """

    def __init__(
        self, root: Path, suffix: str, writer: Callable[[Path, pa.Schema | None], RowWriter], account: Account, run: str = ""
    ) -> None:
        self.root = root
        self._suffix = suffix
        self._writer = writer
        self.account = account
        self._run = run
        self._open: dict[_Key, _OpenFile] = {}
        self._closed: list[_OpenFile] = []
        self._missing: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._answers = Answers(account)
        self._ledger: tuple[_Key, pa.Schema, pa.Scalar] | None = None
        probe_directory(root)

    def write(self, batch: Batch) -> None:
        """Write a batch into the file of its table, worker and interval."""
        key = (batch.table, batch.worker, batch.interval_start)
        if batch.kind == LEDGER:
            self._write_ledger(batch)
            return
        try:
            self._write(key, batch, [batch.id])
        except SchemaChanged:
            self._end(key)
            self._write(key, batch, [batch.id])
        if sum(file.writer.buffered_octets for file in self._open.values()) > MAX_BUFFERED_OCTETS:
            self._flush_largest()

    def end_interval(self, worker: int, interval_start: int) -> None:
        """Commit the worker's files of the interval, and of any before it."""
        for key in [key for key in self._open if key[1] == worker and key[2] <= interval_start]:
            self._end(key)

    def close(self) -> None:
        """Commit every file, the ledger last: it tells of the others. With a journal, intervals whose end did not come are left to it."""
        for key in [key for key in self._open if key[0] != LEDGER]:
            self._end(key)
        if self._run:
            self.defer()
        if self._ledger is not None:
            self._tell_answers(*self._ledger)
        for key in list(self._open):
            self._end(key)

    def settle(
        self, manifest: Path, interval: tuple[int, int] | None, *, missing: Sequence[int] = (), complete: bool = True, again: bool = True
    ) -> bool:
        """Commit all files of a (worker, start of an interval), or all files, together: once the manifest is there they are committed.

        `missing`: batches that were handed and never came here; `complete`: all rows were handed. If some lack, or the files cannot be
        committed, and the journal gives them `again`, all are deferred. Whether nothing is left to be done.
        """
        for key in [key for key in self._open if interval in (None, key[1:])]:
            self._end(key)
        missing = [*missing, *(batch for key in list(self._missing) if interval in (None, key) for batch in self._missing.pop(key))]
        files = [file for file in self._closed if interval in (None, file.key[1:])]
        self._closed = [file for file in self._closed if file not in files]
        batches = _batches_of(files)
        if not files and not missing and complete:
            return True
        if again and (missing or not complete):
            self._defer(files, missing)
            return False
        try:
            write_manifest(manifest, [file.pending for file in files])
        except OSError as error:
            self.account.fault(error)
            if again:
                self._defer(files, missing)
                return False
            self._discard(files)
            self.account.lost([*batches, *missing], error)
            return True
        self.account.files_written += len(files)
        self.account.wrote(batches, sum(file.octets for file in files))
        if missing:
            self.account.lost(missing, self.account.last_error or TargetError("the journal had a gap"))
        with suppress(OSError):  # it is tried again before the segment goes
            carry_out(manifest)
        return True

    def defer(self) -> None:
        """Discard all files: the journal gives their rows again."""
        for key in list(self._open):
            self._end(key)
        files, self._closed = self._closed, []
        missing = [batch for batches in self._missing.values() for batch in batches]
        self._missing.clear()
        self._defer(files, missing)

    def _defer(self, files: Sequence[_OpenFile], missing: Sequence[int]) -> None:
        self._discard(files)
        self.account.deferred([*missing, *_batches_of(files)])

    def _discard(self, files: Sequence[_OpenFile]) -> None:
        for file in files:
            file.pending.discard()

    def _write_ledger(self, batch: Batch) -> None:
        """Write rows of the ledger, and after them what became of the records handed to this target."""
        key, rows = (batch.table, batch.worker, batch.interval_start), pa.record_batch(batch)
        self._write(key, rows, [])
        self._ledger = (key, rows.schema, rows["minute"][0])
        self._tell_answers(*self._ledger)

    def _tell_answers(self, key: _Key, schema: pa.Schema, minute: pa.Scalar) -> None:
        """What cannot be written now goes with the next rows."""
        answers = self._answers.rows(schema, minute)
        try:
            if answers.num_rows:
                self._write(key, answers, [])
        except Exception as error:
            self._say_ledger_lost(error)
        else:
            self._answers.told()

    def _say_ledger_lost(self, error: Exception) -> None:
        logs.error("ledger_lost", f"rows of the ledger in {self.root} are lost: {reason(error)}")

    def _write(self, key: _Key, rows: Batch, batches: Sequence[int]) -> None:
        file = self._open.get(key) or self._start(key)
        try:
            file.writer.write(rows)
        except SchemaChanged:
            raise
        except Exception as error:
            self._lose(key, error)
            raise
        file.batches += batches

    def _start(self, key: _Key) -> _OpenFile:
        if len(self._open) >= MAX_OPEN_FILES:
            self._end(next(iter(self._open)))
        table, worker, interval_start = key
        pending = pending_rotating(self.root, table, interval_start, worker, self._suffix, run=self._run)
        try:
            file = _OpenFile(key, pending, self._writer(pending.temporary, None))
        except Exception:
            pending.discard()
            raise
        self._open[key] = file
        return file

    def _flush_largest(self) -> None:
        key, file = max(self._open.items(), key=lambda item: item[1].writer.buffered_octets)
        try:
            file.writer.flush()
        except Exception as error:
            self._lose(key, error)

    def _end(self, key: _Key) -> None:
        """No more rows come for a file: commit it, or close it until `settle` commits it with the others."""
        file = self._open[key]
        try:
            file.writer.close()
            file.octets = file.pending.temporary.stat().st_size if self._run and key[0] != LEDGER else file.pending.commit()
        except Exception as error:
            self._lose(key, error)
            return
        del self._open[key]
        if self._run and key[0] != LEDGER:
            self._closed.append(file)
            return
        self.account.files_written += key[0] != LEDGER
        self.account.wrote(file.batches, file.octets)

    def _lose(self, key: _Key, error: Exception) -> None:
        file = self._open.pop(key)
        file.writer.abandon()
        file.pending.discard()
        if self._run and key[0] != LEDGER:
            self._missing[key[1:]] += file.batches
            self.account.fault(error)
        else:
            self.account.lost(file.batches, error)
        if key[0] == LEDGER:
            self._say_ledger_lost(error)


def _batches_of(files: Sequence[_OpenFile]) -> list[int]:
    return [batch for file in files for batch in file.batches]
