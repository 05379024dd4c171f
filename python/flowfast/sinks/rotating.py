"""A directory of rotating files: one for each table, worker and interval, committed when the interval ends."""

from collections import Counter, defaultdict
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
from flowfast.sinks.answers import Answers, News
from flowfast.sinks.writer import RowWriter, SchemaChanged
from flowfast.uris import Target

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
    told: list[pa.RecordBatch] = field(default_factory=list)
    """Rows of the ledger in it, of its interval."""
    overdue: list[pa.RecordBatch] = field(default_factory=list)
    """Rows of the ledger in it that an earlier file could not keep."""
    answers: News = field(default_factory=Counter)
    """What it tells of the target itself, if it is the ledger's."""
    octets: int = 0


class RotatingFiles:
    """Files that readers see complete or not at all. A fault loses the rows of one file; the next file is tried afresh.

    With a journal, which knows its process as `run`, all files of an interval appear together or not at all, by `settle`, and the ledger's
    by `settle_ledger`: what would be lost is deferred, for the journal gives it again.
    """

    def __init__(self, target: Target, writer: Callable[[Path, pa.Schema | None], RowWriter], account: Account, run: str = "") -> None:
        self.root = target.path
        self.keeps_ledger = target.keeps_ledger
        self._suffix = target.format
        self._writer = writer
        self.account = account
        self._run = run
        self._open: dict[_Key, _OpenFile] = {}
        self._closed: list[_OpenFile] = []
        self._missing: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._answers = Answers(account)
        self._ledger: tuple[_Key, pa.Schema, pa.Scalar] | None = None
        """Of its rows that came last: their file, their schema, their minute."""
        self._unkept: defaultdict[tuple[int, int], list[pa.RecordBatch]] = defaultdict(list)
        """Rows of it that could not be kept, by interval: the journal may give them again."""
        self._overdue: list[pa.RecordBatch] = []
        """Rows of it that could not be kept, and that go with the next."""
        self._ledger_fault: Exception | None = None
        """Why, as long as it goes on."""
        probe_directory(self.root)

    def write(self, batch: Batch) -> None:
        """Write a batch into the file of its table, worker and interval."""
        key = (batch.table, batch.worker, batch.interval_start)
        if batch.kind == LEDGER:
            self.tell(batch)
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
        self._tell_rest()
        for file in self._take(None, ledger=True):
            try:
                file.pending.commit()
            except OSError as error:
                self._discard([file])
                self._ledger_fault = error
        if self._ledger is not None and (self._unkept or self._overdue or self._answers.news()):
            why = "" if self._ledger_fault is None else f": {reason(self._ledger_fault)}"
            logs.error("ledger_lost", f"rows of the ledger in {self.root} are lost{why}")

    def settle(
        self, manifest: Path, interval: tuple[int, int] | None, *, missing: Sequence[int] = (), complete: bool = True, again: bool = True
    ) -> bool:
        """Commit all files of a (worker, start of an interval), or all files, together: once the manifest is there they are committed.

        `missing`: batches that were handed and never came here; `complete`: all rows were handed. If some lack, or the files cannot be
        committed, and the journal gives them `again`, all are deferred. Whether nothing is left to be done.
        """
        files = self._take(interval, ledger=False)
        missing = [*missing, *(batch for key in list(self._missing) if interval in (None, key) for batch in self._missing.pop(key))]
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

    def settle_ledger(self, manifest: Path, interval: tuple[int, int] | None, *, again: bool = False) -> None:
        """Commit the ledger's rows of a (worker, start of an interval), or all, with what has become of the records by now: once the
        manifest is there they are committed, be they none. Flows do not wait for the ledger: rows that cannot be committed go with later
        ones, unless the journal gives all of them `again` for the flows' sake.
        """
        if not self.keeps_ledger:
            return
        for key in [key for key in self._open if _is_of(key, interval, ledger=True)][:1]:
            self._tell_rest(key)
        files = self._take(interval, ledger=True)
        is_lacking = any(interval in (None, each) for each in self._unkept)
        if (again and is_lacking) or not self._commit_ledger(manifest, files):
            self._discard(files)
        unkept = [rows for each in list(self._unkept) if interval in (None, each) for rows in self._unkept.pop(each)]
        if not again:
            self._make_overdue(unkept)

    def _commit_ledger(self, manifest: Path, files: Sequence[_OpenFile]) -> bool:
        try:
            write_manifest(manifest, [file.pending for file in files])
        except OSError as error:
            self._say_ledger_late(error)
            return False
        self.account.wrote([], sum(file.octets for file in files))
        self._ledger_fault = None
        with suppress(OSError):  # it is tried again before the segment goes
            carry_out(manifest)
        return True

    def _take(self, interval: tuple[int, int] | None, *, ledger: bool) -> list[_OpenFile]:
        """The ledger's files of an interval, or of all, or the others: closed, for the caller to commit or to discard."""
        for key in [key for key in self._open if _is_of(key, interval, ledger=ledger)]:
            self._end(key)
        files = [file for file in self._closed if _is_of(file.key, interval, ledger=ledger)]
        self._closed = [file for file in self._closed if file not in files]
        return files

    def defer(self) -> None:
        """Discard all files: the journal gives their rows again."""
        for key in list(self._open):
            self._end(key)
        files, self._closed = self._closed, []
        missing = [batch for batches in self._missing.values() for batch in batches]
        self._missing.clear()
        self._defer(files, missing)
        self._unkept.clear()

    def _defer(self, files: Sequence[_OpenFile], missing: Sequence[int]) -> None:
        self._discard(files)
        self.account.deferred([*missing, *_batches_of(files)])

    def _discard(self, files: Sequence[_OpenFile]) -> None:
        for file in files:
            file.pending.discard()
            self._answers.forgotten(file.answers)
            self._overdue += file.overdue
            self._put_aside(file.key, file.told)

    def tell(self, batch: Batch, *, answers_only: bool = False) -> None:
        """Write rows of the ledger, and after them what became of the records handed to this target; or that alone, as of their minute.

        Flows do not wait for the ledger: its rows that cannot be written go with later ones.
        """
        if not self.keeps_ledger:
            return
        key, rows = (batch.table, batch.worker, batch.interval_start), pa.record_batch(batch)
        self._ledger = (key, rows.schema, rows["minute"][0])
        if not answers_only:
            try:
                self._write(key, rows, [])
                self._open[key].told.append(rows)
            except Exception as error:
                self._say_ledger_late(error)
                self._put_aside(key, [rows])
        self._tell_rest()

    def _tell_rest(self, key: _Key | None = None) -> None:
        """Rows that are overdue and what became of records, into this file or that of the ledger's last rows. What cannot be written now
        goes with the next rows.
        """
        news = self._answers.news()
        if self._ledger is None or not (news or self._overdue):
            return
        last_key, schema, minute = self._ledger
        key = key or last_key
        try:
            while self._overdue:
                self._write(key, self._overdue[0], [])
                self._open[key].overdue.append(self._overdue.pop(0))
            self._write(key, self._answers.rows(news, schema, minute), [])
        except Exception as error:
            self._say_ledger_late(error)
        else:
            self._open[key].answers.update(news)
            self._answers.told(news)

    def _say_ledger_late(self, error: Exception) -> None:
        if self._ledger_fault is None:
            logs.warning("ledger_late", f"rows of the ledger in {self.root} could not be written, and go with later ones: {reason(error)}")
        self._ledger_fault = error

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
            file.octets = file.pending.temporary.stat().st_size if self._run else file.pending.commit()
        except Exception as error:
            self._lose(key, error)
            return
        del self._open[key]
        if self._run:
            self._closed.append(file)
            return
        if key[0] == LEDGER:
            self._ledger_fault = None
        else:
            self.account.files_written += 1
        self.account.wrote(file.batches, file.octets)

    def _lose(self, key: _Key, error: Exception) -> None:
        file = self._open.pop(key)
        file.writer.abandon()
        self._discard([file])
        if self._run:
            self._missing[key[1:]] += file.batches
            self.account.fault(error)
        else:
            self.account.lost(file.batches, error)
        if key[0] == LEDGER:
            self._say_ledger_late(error)

    def _put_aside(self, key: _Key, rows: Sequence[pa.RecordBatch]) -> None:
        """Rows of the ledger could not be kept: they go with the next, unless the journal will give them again."""
        if not self._run:
            self._make_overdue(rows)
        elif rows:
            self._unkept[key[1:]] += rows

    def _make_overdue(self, rows: Sequence[pa.RecordBatch]) -> None:
        """Rows of the ledger go with the next. What is the same but for the minute is added up: so they stay few, however long it takes."""
        overdue = [*self._overdue, *rows]
        if len(overdue) < 2:
            self._overdue = overdue
            return
        schema = overdue[0].schema
        keys = [name for name in schema.names if name not in ("minute", "count")]
        sums = pa.Table.from_batches(overdue).group_by(keys).aggregate([("minute", "min"), ("count", "sum")])
        sums = sums.rename_columns({"minute_min": "minute", "count_sum": "count"})
        self._overdue = sums.select(schema.names).cast(schema).combine_chunks().to_batches()


def _is_of(key: _Key, interval: tuple[int, int] | None, *, ledger: bool) -> bool:
    """Whether it is a table of this interval, or of any, and the ledger, or another."""
    return (key[0] == LEDGER) == ledger and interval in (None, key[1:])


def _batches_of(files: Sequence[_OpenFile]) -> list[int]:
    return [batch for file in files for batch in file.batches]
