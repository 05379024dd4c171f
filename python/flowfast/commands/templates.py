"""`flowfast templates`: what a collector or a journal knows of its exporters."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowfast import _core
from flowfast.client import ask, not_flowfast
from flowfast.config import Settings
from flowfast.endpoint import HttpAddress
from flowfast.errors import EXIT_FAILED, InputError, print_error
from flowfast.escape import printable_lines
from flowfast.journal import captures_of_templates
from flowfast.units import plural

VARIABLE = 65535
"""The length that announces a variable-length field (RFC 7011 section 7)."""


def run(directory: Path | None, settings: Settings, *, as_json: bool) -> int:
    """Print the templates of a journal, or of the collector that runs. Returns the exit code."""
    templates, faults = of_journal(directory) if directory else (of_collector(settings.http), [])
    templates.sort(key=lambda each: (each["exporter"], each["local_port"], each["exporter_port"], each["domain"], each["template_id"]))
    if as_json:
        print(json.dumps(templates, indent=2))
    else:
        now_s = time.time()
        lines = [_line(each, now_s) for each in templates]
        print(printable_lines("\n".join([*lines, f"{plural(len(templates), 'template')} known"])))
    for path, predicate in faults:
        print_error(InputError(f"{path} {predicate}", "what could be read of it is listed"))
    return EXIT_FAILED if faults else 0


def of_journal(directory: Path) -> tuple[list[dict[str, Any]], Sequence[tuple[str, str]]]:
    """What a journal, or the one in a target, knows, and which of its files are damaged. Raises InputError."""
    if not directory.is_dir():
        raise InputError(f"{directory} is no directory", "name the directory that `flowfast collect` writes to, or its journal")
    journal = directory / "journal"
    return _core.known_templates(captures_of_templates(journal if journal.is_dir() else directory))


def of_collector(address: HttpAddress) -> list[dict[str, Any]]:
    """What a running collector knows. Raises InputError."""
    templates = ask(address, "/templates")
    if templates is None:
        raise InputError(
            f"no collector answers at http://{address}", "`--http ADDRESS:PORT` names its address; `flowfast templates DIR` reads a journal"
        )
    if not isinstance(templates, list):
        raise not_flowfast(address)
    return templates


def _line(template: dict[str, Any], now_s: float) -> str:
    sent_to = f"port {template['local_port']}"
    if template["local_address"] is not None:
        sent_to = _socket(template["local_address"], template["local_port"])
    fields = [f"{each['name']} {'variable' if each['length'] == VARIABLE else each['length']}" for each in template["fields"]]
    for key in template["flow_keys"]:
        fields[key] += " key"
    scopes = template["scope_count"]
    what = f"options of {', '.join(fields[:scopes])}: {', '.join(fields[scopes:])}" if scopes else ", ".join(fields)
    return (
        f"{_socket(template['exporter'], template['exporter_port'])} to {sent_to}, {template['format']} domain {template['domain']}, "
        f"template {template['template_id']}, {plural(len(fields), 'field')}, last seen {_ago(template['refreshed_ns'], now_s)}, "
        f"{_use(template, now_s)}\n    {what}"
    )


def _use(template: dict[str, Any], now_s: float) -> str:
    if template["used_ns"] is None:
        return "not used yet"
    return f"used for {plural(template['sets'], 'data set')}, the last {_ago(template['used_ns'], now_s)}"


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _ago(time_ns: int, now_s: float) -> str:
    return f"{max(now_s - time_ns / 1e9, 0):,.0f} s ago"
