"""`flowfast schema`: the columns of the flows table."""

import json
from collections.abc import Sequence
from typing import Any

from flowfast import _core
from flowfast.columns import flows_schema


def run(columns: Sequence[str], *, as_json: bool) -> int:
    """Print type, group, meaning and elements of the columns. Returns the exit code."""
    rows = describe(columns)
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        print(f"{row['name']}  {row['type']}  ({row['group']})")
        if row["doc"]:
            print(f"    {row['doc']}")
        if row["elements"]:
            print(f"    from {', '.join(row['elements'])}")
    return 0


def describe(columns: Sequence[str]) -> list[dict[str, Any]]:
    """Name, group, Arrow type, elements and meaning of columns, in the order of the table."""
    known = {row["name"]: row for row in _core.flow_columns()}
    element = {"name": "", "group": "element", "type": "", "doc": "", "minimal": False, "standard": False}
    return [
        element | {"elements": [field.name]} | known.get(field.name, {}) | {"name": field.name, "type": str(field.type)}
        for field in flows_schema(columns)
    ]
