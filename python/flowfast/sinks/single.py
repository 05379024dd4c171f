"""One file, which appears when everything has been written."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from flowfast._core import Batch
from flowfast.errors import TargetLost, reason
from flowfast.escape import printable
from flowfast.files import PendingFile, pending_single, probe_single
from flowfast.sinks.account import Account
from flowfast.sinks.writer import RowWriter, SchemaChanged


class SingleFile:
    """All rows in one file. A fault loses the whole file, for nobody would see that the half of it is missing."""

    def __init__(
        self,
        path: Path,
        writer: Callable[[Path, pa.Schema | None], RowWriter],
        account: Account,
        schema: pa.Schema | None,
        *,
        replace: bool,
    ) -> None:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.exists() and not replace:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        probe_single(path)
        self._path = path
        self._new_writer = writer
        self._schema = schema
        self._account = account
        self._open: tuple[PendingFile, RowWriter] | None = None
        self._table: str | None = None
        self._batches: list[int] = []
        self._lost: TargetLost | None = None

    def write(self, batch: Batch) -> None:
        """Write a batch; after a fault TargetLost, always."""
        if self._lost is not None:
            raise self._lost
        try:
            _, writer = self._opened()
            self._check_table(batch, writer)
            writer.write(batch)
        except Exception as error:
            raise self._lose(error) from error
        self._batches.append(batch.id)

    def end_interval(self, worker: int, interval_start: int) -> None:
        """A single file knows no intervals."""

    def close(self) -> None:
        """Give the file its name."""
        if self._lost is not None:
            return
        try:
            pending, writer = self._opened()
            writer.close()
            if self._table is None and self._schema is None and not writer.many_tables:
                pending.discard()  # no row came, and only rows know the columns of a wire table
                return
            octets = pending.commit()
        except Exception as error:
            self._lose(error)
            return
        self._account.files_written += 1
        self._account.wrote(self._batches, octets)

    def _opened(self) -> tuple[PendingFile, RowWriter]:
        """The file and its writer, made when they are first needed: a run that cannot start leaves nothing behind."""
        if self._open is None:
            pending = pending_single(self._path)
            self._open = pending, self._new_writer(pending.temporary, self._schema)
        return self._open

    def _check_table(self, batch: Batch, writer: RowWriter) -> None:
        if self._table is None:
            self._table = batch.table
        if batch.table != self._table and not writer.many_tables:
            raise TargetLost(
                f"one file cannot hold two tables, `{printable(self._table)}` and `{printable(batch.table)}`",
                "write the wire schema to `parquet:DIR`, which has a directory for each table, or to an .ndjson file",
            )

    def _lose(self, error: Exception) -> TargetLost:
        if self._open is not None:
            pending, writer = self._open
            writer.abandon()
            pending.discard()
        if isinstance(error, TargetLost):
            self._lost = error
        elif isinstance(error, SchemaChanged):
            self._lost = TargetLost(
                f"one file cannot hold rows of `{printable(self._table or '')}` with changed columns", "write to `parquet:DIR`"
            )
        else:
            self._lost = TargetLost(reason(error), "free some space or choose another place")
        self._account.lost(self._batches, self._lost)
        return self._lost
