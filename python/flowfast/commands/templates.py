"""`flowfast templates`: what a journal knows of its exporters."""

import json
import time
from pathlib import Path
from typing import Any

from flowfast import _core
from flowfast.errors import EXIT_FAILED, InputError, print_error
from flowfast.journal import captures_of_templates
from flowfast.units import plural

VARIABLE = 65535
"""The length that announces a variable-length field (RFC 7011 section 7)."""


def run(directory: Path, *, as_json: bool) -> int:
    """Print exporter, domain, age and fields of each template. Returns the exit code."""
    if not directory.is_dir():
        raise InputError(f"{directory} is no directory", "name the directory that `flowfast collect` writes to, or its journal")
    journal = directory / "journal"
    templates, faults = _core.known_templates(captures_of_templates(journal if journal.is_dir() else directory))
    templates.sort(key=lambda each: (each["exporter"], each["local_port"], each["exporter_port"], each["domain"], each["template_id"]))
    if as_json:
        print(json.dumps(templates, indent=2))
    else:
        now_s = time.time()
        for each in templates:
            print(_line(each, now_s))
        print(f"{plural(len(templates), 'template')} known")
    for path, predicate in faults:
        print_error(InputError(f"{path} {predicate}", "what could be read of it is listed"))
    return EXIT_FAILED if faults else 0


def _line(template: dict[str, Any], now_s: float) -> str:
    address = template["exporter"]
    host = f"[{address}]" if ":" in address else address
    fields = [f"{name} {'variable' if length == VARIABLE else length}" for name, length in template["fields"]]
    for key in template["flow_keys"]:
        fields[key] += " key"
    scopes = template["scope_count"]
    what = f"options of {', '.join(fields[:scopes])}: {', '.join(fields[scopes:])}" if scopes else ", ".join(fields)
    age_s = max(now_s - template["refreshed_ns"] / 1e9, 0)
    return (
        f"{host}:{template['exporter_port']} to port {template['local_port']}, {template['format']} domain {template['domain']}, "
        f"template {template['template_id']}, {plural(len(fields), 'field')}, last seen {age_s:,.0f} s ago\n    {what}"
    )
