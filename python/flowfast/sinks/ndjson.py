"""NDJSON files: one JSON object a row; rows of the `wire` schema carry their table in `_table`."""

from pathlib import Path

import pyarrow as pa

from flowfast._core import Batch
from flowfast.sinks.text import TextFile


class NdjsonWriter(TextFile):
    """Writes each batch as it comes."""

    many_tables = True

    def __init__(self, path: Path, _schema: pa.Schema | None) -> None:
        super().__init__(path)

    def write(self, batch: Batch) -> None:
        """Write a batch."""
        self._append(batch.to_ndjson())
