"""A directory of rotating files: one for each table, worker and interval, committed when the interval ends."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from flowfast import logs
from flowfast._core import Batch
from flowfast.files import PendingFile, pending_rotating, probe_directory, unfinished
from flowfast.sinks.account import Account
from flowfast.sinks.writer import RowWriter, SchemaChanged
from flowfast.units import plural

MAX_OPEN_FILES = 256
"""Beyond it the file that was begun first is committed early: an exporter decides how many wire tables there are."""
MAX_BUFFERED_OCTETS = 512 << 20
"""Beyond it the file that holds most writes a row group early."""

_Key = tuple[str, int, int]


@dataclass
class _OpenFile:
    pending: PendingFile
    writer: RowWriter
    rows: int = 0


class RotatingFiles:
    """Files that readers see complete or not at all. A fault loses the rows of one file; the next file is tried afresh."""

    def __init__(self, root: Path, suffix: str, writer: Callable[[Path, pa.Schema | None], RowWriter], account: Account) -> None:
        self._root = root
        self._suffix = suffix
        self._writer = writer
        self._account = account
        self._open: dict[_Key, _OpenFile] = {}
        probe_directory(root)
        if left := unfinished(root):
            logs.warning(
                "unfinished_files",
                f"{plural(len(left), 'unfinished file')} of another process left alone in {left[0].parent}",
                files=len(left),
            )

    def write(self, batch: Batch) -> None:
        """Write a batch into the file of its table, worker and interval."""
        key = (batch.table, batch.worker, batch.interval_start)
        try:
            self._write(key, batch)
        except SchemaChanged:
            self._commit(key)
            self._write(key, batch)
        if sum(file.writer.buffered_octets for file in self._open.values()) > MAX_BUFFERED_OCTETS:
            self._flush_largest()

    def end_interval(self, worker: int, interval_start: int) -> None:
        """Commit the worker's files of the interval, and of any before it."""
        for key in [key for key in self._open if key[1] == worker and key[2] <= interval_start]:
            self._commit(key)

    def close(self) -> None:
        """Commit every file."""
        for key in list(self._open):
            self._commit(key)

    def _write(self, key: _Key, batch: Batch) -> None:
        file = self._open.get(key) or self._start(key)
        try:
            file.writer.write(batch)
        except SchemaChanged:
            raise
        except Exception as error:
            self._lose(key, error)
            raise
        file.rows += batch.num_rows

    def _start(self, key: _Key) -> _OpenFile:
        if len(self._open) >= MAX_OPEN_FILES:
            self._commit(next(iter(self._open)))
        table, worker, interval_start = key
        pending = pending_rotating(self._root, table, interval_start, worker, self._suffix)
        try:
            file = _OpenFile(pending, self._writer(pending.temporary, None))
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

    def _commit(self, key: _Key) -> None:
        file = self._open[key]
        try:
            file.writer.close()
            file.pending.commit()
        except Exception as error:
            self._lose(key, error)
            return
        del self._open[key]
        self._account.files_written += 1
        self._account.wrote(file.rows)

    def _lose(self, key: _Key, error: Exception) -> None:
        file = self._open.pop(key)
        file.writer.abandon()
        file.pending.discard()
        self._account.lost(file.rows, error)
