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
        self._ledger_lacks: set[tuple[int, int]] = set()
        """Intervals of which some could not be written."""
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
        self._tell_answers()
        for file in self._take(None, ledger=True):
            try:
                file.pending.commit()
            except OSError as error:
                self._discard([file])
                self._say_ledger_lost(error)

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
        manifest is there they are committed, be they none. What cannot be committed is lost, for flows do not wait for it, unless the
        journal gives all of it `again` for the flows' sake.
        """
        if not self.keeps_ledger:
            return
        for key in [key for key in self._open if _is_of(key, interval, ledger=True)][:1]:
            self._tell_answers(key)
        files = self._take(interval, ledger=True)
        lacking = {each for each in self._ledger_lacks if interval in (None, each)}
        self._ledger_lacks -= lacking
        if again and lacking:
            return self._discard(files)
        try:
            write_manifest(manifest, [file.pending for file in files])
        except OSError as error:
            self._say_ledger_lost(error)
            return self._discard(files)
        self.account.wrote([], sum(file.octets for file in files))
        with suppress(OSError):  # it is tried again before the segment goes
            carry_out(manifest)

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
        self._ledger_lacks.clear()
        self._defer(files, missing)

    def _defer(self, files: Sequence[_OpenFile], missing: Sequence[int]) -> None:
        self._discard(files)
        self.account.deferred([*missing, *_batches_of(files)])

    def _discard(self, files: Sequence[_OpenFile]) -> None:
        for file in files:
            file.pending.discard()
            self._answers.forgotten(file.answers)

    def tell(self, batch: Batch, *, answers_only: bool = False) -> None:
        """Write rows of the ledger, and after them what became of the records handed to this target; or that alone, as of their minute."""
        key, rows = (batch.table, batch.worker, batch.interval_start), pa.record_batch(batch)
        if not answers_only:
            self._write(key, rows, [])
        self._ledger = (key, rows.schema, rows["minute"][0])
        self._tell_answers()

    def tell_again(self, batch: Batch, *, answers_only: bool) -> None:
        """The same, out of the journal. What cannot be written is lost: flows do not wait for it."""
        if self.keeps_ledger:
            try:
                self.tell(batch, answers_only=answers_only)
            except Exception as error:
                self._say_ledger_lost(error)

    def _tell_answers(self, key: _Key | None = None) -> None:
        """Into this file, or that of the ledger's last rows. What cannot be written now goes with the next rows."""
        news = self._answers.news()
        if self._ledger is None or not news:
            return
        last_key, schema, minute = self._ledger
        key = key or last_key
        try:
            self._write(key, self._answers.rows(news, schema, minute), [])
        except Exception as error:
            self._say_ledger_lost(error)
        else:
            self._open[key].answers.update(news)
            self._answers.told(news)

    def _say_ledger_lost(self, error: Exception) -> None:
        logs.error("ledger_lost", f"rows of the ledger in {self.root} could not be written: {reason(error)}")

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
        self.account.files_written += key[0] != LEDGER
        self.account.wrote(file.batches, file.octets)

    def _lose(self, key: _Key, error: Exception) -> None:
        file = self._open.pop(key)
        file.writer.abandon()
        self._discard([file])
        if self._run:
            self._missing[key[1:]] += file.batches
            self.account.fault(error)
            if key[0] == LEDGER:
                self._ledger_lacks.add(key[1:])
        else:
            self.account.lost(file.batches, error)
        if key[0] == LEDGER:
            self._say_ledger_lost(error)


def _is_of(key: _Key, interval: tuple[int, int] | None, *, ledger: bool) -> bool:
    """Whether it is a table of this interval, or of any, and the ledger, or another."""
    return (key[0] == LEDGER) == ledger and interval in (None, key[1:])


def _batches_of(files: Sequence[_OpenFile]) -> list[int]:
    return [batch for file in files for batch in file.batches]
