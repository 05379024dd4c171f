"""CSV files: a line of column names, then a line a row."""

from pathlib import Path

import pyarrow as pa

from flowfast._core import Batch
from flowfast.sinks.text import TextFile
from flowfast.sinks.writer import OneTable


class CsvWriter(OneTable, TextFile):
    """Writes each batch as it comes; a file without rows has the line of names, if the table is known."""

    def __init__(self, path: Path, schema: pa.Schema | None) -> None:
        OneTable.__init__(self, schema)
        TextFile.__init__(self, path)
        self._headed = False

    def write(self, batch: Batch) -> None:
        """Write a batch."""
        self._check(pa.schema(batch))
        self._append(batch.to_csv(header=not self._headed))
        self._headed = True

    def close(self) -> None:
        """Close the file."""
        if not self._headed and self._schema is not None:
            self._append((",".join(self._schema.names) + "\n").encode())
        super().close()
