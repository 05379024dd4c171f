"""`flowfast generate`: export synthetic flows."""

import json
import sys

from flowfast import _core
from flowfast.core_errors import usage_errors
from flowfast.errors import FlowfastError, UsageError, reason
from flowfast.units import plural
from flowfast.uris import parse_destination


def run(
    *,
    to: str | None,
    write: str | None,
    format: str,
    count: int,
    rate: float,
    order: str,
    template: str,
    exporters: int,
    seed: int,
    single: bool,
) -> int:
    """Export Flow Records to a UDP address, a pcap file or both, and print what was sent as one JSON line. Returns the exit code."""
    if to is None and write is None:
        raise UsageError("nowhere to send to", "give `--to udp://127.0.0.1:2055`, `--write FILE.pcap` or both")
    destination = parse_destination(to) if to is not None else None
    try:
        with usage_errors():
            sent = _core.generate(
                to=destination,
                write=write,
                format=format,
                count=count,
                rate=rate,
                order=order,
                seed=seed,
                exporters=exporters,
                template=template,
                trains=not single,
            )
    except OSError as error:
        where = error.filename or write or to
        raise FlowfastError(f"cannot export to {where}: {reason(error)}", "check the path and the address") from error
    print(json.dumps(dict(sent)))
    if refusals := sent["send_errors"]:
        sys.stderr.write(f"warning: {plural(refusals, 'datagram')} at least found nobody who listens on {to}\n")
    return 0
