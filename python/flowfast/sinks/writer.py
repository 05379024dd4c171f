"""The contract between a layout and the row formats."""

from typing import Protocol

import pyarrow as pa

from flowfast._core import Batch


class RowWriter(Protocol):
    """Writes rows into one file, made with its path and the schema of its table if that is known before the first row."""

    many_tables: bool
    """Whether rows of several tables may stand in one file."""

    @property
    def buffered_octets(self) -> int:
        """Octets of rows held in memory."""

    def write(self, batch: Batch) -> None:
        """Add rows. Raises SchemaChanged, having written nothing, if they do not fit the ones before."""

    def flush(self) -> None:
        """Write the rows held in memory."""

    def close(self) -> None:
        """Flush, write what the format wants at its end, close the file."""

    def abandon(self) -> None:
        """Close the file without a care for its content; never raises."""


class SchemaChanged(Exception):
    """Rows of one table with other columns than the ones before."""


class OneTable:
    """What formats share whose files hold one table: its schema, which the first rows bring if it is not known before."""

    many_tables = False

    def __init__(self, schema: pa.Schema | None) -> None:
        self._schema = schema

    def _check(self, schema: pa.Schema) -> pa.Schema:
        """The schema of the file, which must be that of these rows. Raises SchemaChanged."""
        if self._schema is None:
            self._schema = schema
        if not schema.equals(self._schema):
            raise SchemaChanged
        return self._schema
