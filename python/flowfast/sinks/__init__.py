"""Where rows go. A sink is a layout (a directory of rotating files, one file, a stream, nowhere) with a row format written into it.

A new row format is one file with a `RowWriter` and one line in `ROW_WRITERS`; a new layout is one file with a `Sink` and one line in
`open_sink`. `tests/test_sinks_compliance.py` then runs against it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from flowfast import logs
from flowfast._core import Batch
from flowfast.errors import TargetError, reason
from flowfast.files import unfinished
from flowfast.sinks.account import Account
from flowfast.sinks.arrow import ArrowWriter
from flowfast.sinks.csv import CsvWriter
from flowfast.sinks.ndjson import NdjsonWriter
from flowfast.sinks.null import NullSink
from flowfast.sinks.parquet import ParquetWriter
from flowfast.sinks.rotating import RotatingFiles
from flowfast.sinks.single import SingleFile
from flowfast.sinks.stream import StandardOutput
from flowfast.sinks.writer import RowWriter
from flowfast.units import plural
from flowfast.uris import Target

__all__ = ["Account", "RowWriter", "Sink", "open_sink"]


class Sink(Protocol):
    """A place that rows go. One thread calls it.

    Every batch handed to it is answered exactly once in its `Account`, by its id: `wrote` when its rows are durable, or `lost`. If `write`
    raises, that batch has not been answered and the caller answers it with `lost`. `TargetLost` means that no row will ever be taken
    again.
    """

    def write(self, batch: Batch) -> None:
        """Take a batch; it may be kept in memory for a while."""

    def end_interval(self, worker: int, interval_start: int) -> None:
        """`worker` sends no more rows of the interval that began at `interval_start` (UNIX seconds): make them durable."""

    def close(self) -> None:
        """Make everything durable."""


ROW_WRITERS: dict[str, Callable[[Path, pa.Schema | None], RowWriter]] = {
    "parquet": ParquetWriter,
    "arrow": ArrowWriter,
    "ndjson": NdjsonWriter,
    "csv": CsvWriter,
}


def open_sink(target: Target, account: Account, schema: pa.Schema | None, *, replace: bool, run: str = "") -> Sink:
    """A sink for `target`, tried out as far as it can be without rows.

    `schema` is that of the `flows` table, or None for the `wire` schema, whose tables the rows bring. `replace`: a single file of the same
    name gives way. `run`: how the journal knows this process, whose rotating files it commits. Raises TargetError.
    """
    try:
        if target.layout == "nowhere":
            return NullSink(account)
        if target.layout == "stdout":
            return StandardOutput(account)
        writer = ROW_WRITERS[target.format]
        if target.layout == "directory":
            if left := unfinished(target.path):
                logs.warning(
                    "unfinished_files",
                    f"{plural(len(left), 'unfinished file')} of another process left alone in {left[0].parent}",
                    files=len(left),
                )
            return RotatingFiles(target, writer, account, run)
        return SingleFile(target.path, writer, account, schema, replace=replace)
    except TargetError:
        raise
    except OSError as error:
        raise TargetError(f"cannot write to {target}: {reason(error)}", target_hint(error)) from error


def target_hint(error: OSError) -> str:
    """What a person can do about a target that cannot be written."""
    hints = {
        "PermissionError": "choose a directory that this user may write, or change its owner",
        "FileNotFoundError": "make the directory first",
        "FileExistsError": "choose another name, or move what is there",
        "NotADirectoryError": "a part of the path is a file; choose another",
        "IsADirectoryError": "the name belongs to a directory; write `parquet:DIR` for rotating files in it",
    }
    return hints.get(type(error).__name__, "free some space or choose another place")
