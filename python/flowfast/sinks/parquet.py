"""Parquet files: zstd, large row groups, encodings chosen for each column by what it holds."""

from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowfast._core import Batch
from flowfast.sinks.writer import OneTable

ROW_GROUP_ROWS = 256 * 1024
_SAMPLE_ROWS = 8192
_DICTIONARY_SHARE = 0.25
"""Distinct values per row of the sample up to which a column has a dictionary: it saves octets and, for what it saves, time. Measured on
generated flows, 0.5 and more save little else and cost half as much again."""
_NESTED = (pa.types.is_list, pa.types.is_large_list, pa.types.is_struct, pa.types.is_map)
_PRUNED_BY_OCTETS = ("sampler_address", "src_addr", "dst_addr", "_exporter")
"""Columns of octets that have statistics, for queries look for them. Comparing octets costs several times what it does for numbers."""


class ParquetWriter(OneTable):
    """Gathers batches into row groups of up to `ROW_GROUP_ROWS` rows."""

    def __init__(self, path: Path, schema: pa.Schema | None) -> None:
        super().__init__(schema)
        self._path = path
        self._file: pq.ParquetWriter | None = None
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self.buffered_octets = 0

    def write(self, batch: Batch) -> None:
        """Hold a batch, and write all held ones if they make a row group."""
        rows = pa.record_batch(batch)
        self._check(rows.schema)
        if self._rows + rows.num_rows > ROW_GROUP_ROWS:
            self.flush()
        self._batches.append(rows)
        self._rows += rows.num_rows
        self.buffered_octets += rows.nbytes

    def flush(self) -> None:
        """Write the held batches as a row group."""
        if not self._batches:
            return
        table = pa.Table.from_batches(self._batches)
        self._batches, self._rows, self.buffered_octets = [], 0, 0
        self._open(table).write_table(table, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> None:
        """Flush and write the footer."""
        self.flush()
        if self._schema is not None:
            self._open(self._schema.empty_table()).close()

    def abandon(self) -> None:
        """Close without a footer."""
        self._batches = []
        if self._file is not None:
            with suppress(OSError, pa.ArrowException):  # what stopped the file stops its footer too
                self._file.close()

    def _open(self, first: pa.Table) -> pq.ParquetWriter:
        if self._file is None:
            dictionary = [name for name in first.column_names if _dictionary_pays(first[name])]
            delta = {field.name: "DELTA_BINARY_PACKED" for field in first.schema if field.name not in dictionary and _is_number(field.type)}
            statistics = [field.name for field in first.schema if _is_number(field.type) or field.name in _PRUNED_BY_OCTETS]
            self._file = pq.ParquetWriter(
                self._path,
                first.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=dictionary or False,
                column_encoding=delta or None,
                write_statistics=statistics or False,
            )
        return self._file


def _is_number(kind: pa.DataType) -> bool:
    """Whether Parquet stores the type as integers. Deltas, bit-packed, are cheaper than whole values even where they are random: what is
    packed zstd need not search.
    """
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind))


def _dictionary_pays(column: pa.ChunkedArray) -> bool:
    """Whether a sample of the column has few distinct values. Parquet gives a dictionary up by itself where it grows too large."""
    if pa.types.is_timestamp(column.type) or any(is_nested(column.type) for is_nested in _NESTED):
        return False
    if pa.types.is_dictionary(column.type):
        return True
    sample = column.slice(0, _SAMPLE_ROWS)
    return bool(pc.count_distinct(sample, mode="all").as_py() <= max(1, len(sample) * _DICTIONARY_SHARE))
