"""`flowfast doctor`: what ails the collector, and what mends it."""

import json
from collections.abc import Sequence
from pathlib import Path

from flowfast.client import ask, not_flowfast
from flowfast.config import Settings
from flowfast.doctor import Facts, Finding, Machine, examine, examine_machine
from flowfast.endpoint import HttpAddress
from flowfast.errors import EXIT_FAILED
from flowfast.escape import printable_lines
from flowfast.units import plural

_PROC = Path("/proc")


def run(settings: Settings, *, as_json: bool) -> int:
    """Examine the collector that runs, or else this machine; print the findings. Returns 1 if there is a problem among them."""
    facts = read_collector(settings.http)
    findings = list(examine(facts) if facts else examine_machine(read_machine(), settings.rcvbuf))
    problems = [each for each in findings if each.severity == "problem"]
    where = f"the collector at http://{settings.http}" if facts else "this machine, for no collector answers"
    if as_json:
        print(json.dumps({"collector": facts is not None, "findings": [each.as_dict() for each in findings]}, indent=2))
    else:
        print(printable_lines("\n".join(_report(where, findings))))
    return EXIT_FAILED if problems else 0


def _report(where: str, findings: Sequence[Finding]) -> list[str]:
    lines = [f"examined {where}: {plural(len(findings), 'finding') if findings else 'nothing wrong'}"]
    for each in findings:
        lines += ["", f"{each.severity}: {each.about}: {each.message}"]
        lines += [f"  mend: {mend}" for mend in each.mend]
    return lines


def read_collector(address: HttpAddress) -> Facts | None:
    """What the collector there says, or None if none answers. Raises InputError if something else does."""
    stats, exporters = ask(address, "/stats"), ask(address, "/exporters")
    if stats is None or exporters is None:
        return None
    try:
        return Facts(counters=stats["counters"], listeners=stats["listeners"], targets=stats["targets"], exporters=exporters)
    except (KeyError, TypeError) as error:
        raise not_flowfast(address) from error


def read_machine(proc: Path = _PROC) -> Machine:
    """What the kernel says of itself; None for what it does not."""
    return Machine(
        rmem_max=_number(proc / "sys/net/core/rmem_max"),
        backlog=_number(proc / "sys/net/core/netdev_max_backlog"),
        udp_buffer_errors=_udp_buffer_errors(proc / "net/snmp"),
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _udp_buffer_errors(path: Path) -> int | None:
    """`RcvbufErrors` of the two lines that begin with `Udp:`, names and values."""
    try:
        names, values = (line.split() for line in path.read_text().splitlines() if line.startswith("Udp:"))
        return int(values[names.index("RcvbufErrors")])
    except (OSError, ValueError, IndexError):
        return None
