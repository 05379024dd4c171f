"""`flowfast plan`: what becomes of each field of a template."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flowfast import _core
from flowfast.commands.templates import VARIABLE
from flowfast.core_errors import input_error, usage_errors
from flowfast.errors import InputError
from flowfast.escape import printable_lines
from flowfast.units import plural

_WIDTH = 120


def run(load: Mapping[str, str], *, schema: str, as_json: bool) -> int:
    """Print the plans of a generated template, or of those in a capture. Raises UsageError and InputError. Returns the exit code."""
    try:
        with usage_errors("`flowfast plan --help` lists what there is"):
            plans = _core.plans(schema=schema, **load)
    except OSError as error:
        raise input_error(error) from error
    if not plans:
        raise InputError(f"there are no templates in {load['capture']}", "sFlow has none; `flowfast convert` says what else is in it")
    if as_json:
        print(json.dumps(plans, indent=2))
    else:
        print(printable_lines("\n\n".join(text(plan, names_exporters="capture" in load) for plan in plans)))
    return 0


def text(plan: Mapping[str, Any], *, names_exporters: bool) -> str:
    """For people: a line a field, then the columns that no field fills."""
    varies = any(field["length"] == VARIABLE for field in plan["fields"])
    octets = f"{'at least ' if varies else ''}{plural(plan['record_octets'], 'octet')} a record"
    where = f"to the table {plan['table']}" if plan["table"] else "options data, which is in no table of this schema"
    lines = [f"{_users(plan['users'], names_exporters)}: {plural(len(plan['fields']), 'field')}, {octets}, {where}"]
    rows = [("offset", "octets", "element", "operation", "column"), *_rows(plan)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for offset, length, *words in rows:
        cells = [offset.rjust(widths[0]), length.rjust(widths[1])]
        cells += [word.ljust(width) for word, width in zip(words, widths[2:], strict=True)]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    if plan["neighbourhoods"]:
        lines.append(f"  read together: octets {', '.join(f'{offset} to {offset + 7}' for offset in plan['neighbourhoods'])}")
    lines.append(f"  in the canonical order: {plural(plan['canonical_runs'], 'run')} of fields")
    for operation, columns in _grouped(plan["unfilled"]):
        lines += textwrap.wrap(f"{operation}: {columns}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _users(users: Sequence[Mapping[str, Any]], names_exporters: bool) -> str:
    first = users[0]
    what = f"{first['format']} template {first['template_id']}" if first["template_id"] is not None else first["format"]
    if not names_exporters:
        return what
    others = f" and {len(users) - 1} more" if len(users) > 1 else ""
    return f"{what} of {first['exporter']} domain {first['domain']}{others}"


def _rows(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for index, field in enumerate(plan["fields"]):
        offset = f"+{field['offset']}" if field["after"] is not None else f"{field['offset']}"
        length = "variable" if field["length"] == VARIABLE else f"{field['length']}"
        element = f"{field['name']}{' (scope)' if index < plan['scope_count'] else ''}"
        uses = list(_grouped(field["uses"])) or [(f"skip: {field['skipped']}", "")]
        for operation, columns in uses:
            yield offset, length, element, operation, columns
            offset = length = element = ""


def _grouped(uses: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Operations, each with its columns."""
    columns: dict[str, list[str]] = {}
    for use in uses:
        columns.setdefault(use["operation"], []).append(use["column"] or "whichever no field fills")
    for operation, names in columns.items():
        yield operation, ", ".join(names)
