"""The columns of the `flows` table, checked before anything is opened."""

from collections.abc import Sequence

import pyarrow as pa

from flowfast import _core
from flowfast.core_errors import usage_errors
from flowfast.errors import UsageError


def flows_schema(columns: Sequence[str]) -> pa.Schema:
    """The Arrow schema of the `flows` table with these columns. Raises UsageError for those that there are not."""
    with usage_errors("`flowfast schema` lists the columns; elements are named as in the registry, or `pen:id`"):
        return pa.schema(_core.table_schema("flows", columns))


def no_columns_to_choose() -> UsageError:
    """Why columns cannot be chosen in the `wire` schema."""
    return UsageError("only the flows schema has columns to choose", "leave `columns` out: tables of the wire schema have every element")
