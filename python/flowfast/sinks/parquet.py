"""Parquet files: zstd, large row groups, encodings chosen for each column by what it holds."""

from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowfast._core import Batch
from flowfast.sinks.writer import OneTable

ROW_GROUP_ROWS = 256 * 1024
_SAMPLE_ROWS = 8192
_DICTIONARY_SHARE = 0.3
"""Distinct values per row of the sample up to which a column has a dictionary: it saves octets and, for what it saves, time. Measured on
generated flows, 0.5 and more save little else and cost half as much again."""
_FALLS_SHARE = 0.01
"""Values per row of the sample that may be less than the one before in a column that counts as sorted: rows are not quite in order."""
_ZSTD_HARDLY_TRIES = -100
"""A zstd level that copies what it cannot compress, almost without looking for it."""
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
            chosen = {name: _encoding(first[name]) for name in first.column_names}
            compared = [field.name for field in first.schema if _is_number(field.type) or field.name in _PRUNED_BY_OCTETS]
            self._file = pq.ParquetWriter(
                self._path,
                first.schema,
                compression="zstd",
                compression_level=dict.fromkeys(_names(chosen, _Encoding.PACKED), _ZSTD_HARDLY_TRIES),  # 1 for the others
                use_dictionary=_names(chosen, _Encoding.DICTIONARY) or False,
                column_encoding=dict.fromkeys(_names(chosen, _Encoding.DELTA, _Encoding.PACKED), "DELTA_BINARY_PACKED") or None,
                write_statistics=compared or False,
            )
        return self._file


class _Encoding(Enum):
    """How a column is written. Parquet gives a dictionary up by itself where it grows too large."""

    PLAIN = auto()
    DICTIONARY = auto()
    DELTA = auto()
    PACKED = auto()
    """Deltas that zstd hardly looks at: it would find nothing in them."""


def _encoding(column: pa.ChunkedArray) -> _Encoding:
    """The cheapest encoding of a column, by a sample of its first values. docs/decisions/0011-encodings.md has the measurements."""
    if any(is_nested(column.type) for is_nested in _NESTED):
        return _Encoding.PLAIN
    if pa.types.is_dictionary(column.type):
        return _Encoding.DICTIONARY
    sample = column.slice(0, _SAMPLE_ROWS)
    distinct = pc.count_distinct(sample, mode="all").as_py()
    is_number = _is_number(column.type)
    if is_number and distinct > 1 and (column.type.bit_width == 8 or _is_nearly_sorted(sample)):
        return _Encoding.DELTA
    if distinct <= max(1, len(sample) * _DICTIONARY_SHARE):
        return _Encoding.DICTIONARY
    return _Encoding.PACKED if is_number else _Encoding.PLAIN


def _is_number(kind: pa.DataType) -> bool:
    """Whether Parquet stores the type as integers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind))


def _is_nearly_sorted(sample: pa.ChunkedArray) -> bool:
    """Whether hardly a value is less than the one before, as times of reception and sequence numbers are."""
    values = sample.drop_null()
    falls = pc.sum(pc.less(values[1:], values[:-1])).as_py() or 0
    return bool(falls <= len(values) * _FALLS_SHARE)


def _names(chosen: Mapping[str, _Encoding], *encodings: _Encoding) -> list[str]:
    return [name for name, encoding in chosen.items() if encoding in encodings]
