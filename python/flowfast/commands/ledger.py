"""`flowfast ledger`: where did my flows go."""

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flowfast.errors import EXIT_FAILED, UsageError
from flowfast.ledger import Book, Ledger, Loss, Party, name_of, read
from flowfast.units import parse_duration_s, plural

MAX_LINES = 40
"""Exporters shown to people: those that sent most."""
MENDS = {
    (
        "kernel_drops",
        "kernel",
    ): "the receive buffer was full: `sysctl -w net.core.rmem_max=134217728` and `--rcvbuf 128M`, or more `--workers`",
    (
        "sequence_lost",
        "network",
    ): "lost before flowfast: `ethtool -S DEVICE | grep -i drop` and `nstat -az UdpInErrors` here, then the path from the exporter",
    (
        "sequence_lost",
        "collector_down",
    ): "let systemd bind the sockets (`flowfast.socket`): while flowfast restarts, datagrams then wait in them",
    (
        "datagrams_discarded",
        "malformed",
    ): "keep some for a closer look: `tcpdump -w bad.pcap -c 1000 udp port 2055 and host EXPORTER`, then `flowfast convert bad.pcap`",
    ("datagrams_discarded", "unknown_version"): "something else sends to this port: `tcpdump -c 10 -X udp port 2055 and host EXPORTER`",
    ("datagrams_discarded", "unsupported"): "let the exporter send NetFlow v5, v9, IPFIX or sFlow v5",
    ("datagrams_discarded", "wrong_protocol"): "the listener's scheme refuses the protocol: `--listen udp://[::]:PORT` takes all",
    ("datagrams_discarded", "acl"): "the access lists keep them out: `--allow NETWORK`, or do not `--deny` it",
    (
        "datagrams_discarded",
        "rate_limited",
    ): "an exporter sends more than its limit: `datagrams-per-second` or `records-per-second` under `[limits]`",
    ("datagrams_discarded", "held"): "they came after many malformed ones: `malformed-in-a-row = 0` under `[limits]` hears them",
    ("datagrams_discarded", "truncated_receive"): "please report it: no datagram should be longer than the receive buffer",
    ("datagrams_discarded", "worker_panic"): "a fault of flowfast's own: please report it with the log's `worker_panic` lines",
    (
        "sets_discarded",
        "no_template",
    ): "let the exporter repeat its templates more often: `template data timeout 60` under `flow exporter` on Cisco IOS",
    (
        "sets_discarded",
        "expired_template",
    ): "let the exporter repeat its templates more often: `template data timeout 60` under `flow exporter` on Cisco IOS",
    ("sets_discarded", "malformed"): "data and template disagree: `tcpdump -w bad.pcap -c 1000 udp port 2055 and host EXPORTER` shows both",
    ("records_dropped", "queue_full"): "the targets are slower than the flows: fewer `--columns`, fewer targets, or a faster disk",
    ("records_dropped", "target_queue_full"): "the target is slower than the flows: fewer `--columns`, or a faster disk",
    ("records_dropped", "worker_panic"): "a fault of flowfast's own: please report it with the log's `worker_panic` lines",
    ("records_failed", "sink_failed"): "the target could not write: `df -h DIR` and the log's `target_lost` lines",
}
"""What mends each loss."""


def run(directory: Path, since: str | None, exporter: str | None, *, as_json: bool) -> int:
    """Print the ledger of a directory; 1 if it does not balance. Raises UsageError and InputError."""
    try:
        address = None if exporter is None else ip_address(exporter)
    except ValueError as error:
        raise UsageError(f"`{exporter}` is no IP address", "give the exporter's, such as 192.0.2.1") from error
    if address is not None and address.version == 6:
        address = address.ipv4_mapped or address
    ledger = read(directory, None if since is None else _time(since), address)
    if ledger is None:
        print("{}" if as_json else "the ledger has no rows of that time or exporter")
        return 0
    if as_json:
        print(json.dumps(as_dict(ledger)))
    else:
        _show(ledger)
    return EXIT_FAILED if ledger.imbalances else 0


def _time(text: str) -> datetime:
    """A duration before now, or a time in ISO 8601, which is UTC unless it says otherwise."""
    if re.fullmatch(r"\d+[a-z]*", text):
        return datetime.now(UTC) - timedelta(seconds=parse_duration_s(text))
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"`{text}` is no time", "write 90s, 15m, 24h, or 2026-11-22T14:00") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def as_dict(ledger: Ledger) -> dict[str, object]:
    """The ledger as plain values."""
    losses = [
        {"counter": each.counter, "reason": each.reason, "count": each.count, "records": round(each.records)} for each in ledger.losses
    ]
    return {
        "first_minute": ledger.first_minute.isoformat(),
        "last_minute": ledger.last_minute.isoformat(),
        "balances": not ledger.imbalances,
        "imbalances": ledger.imbalances,
        "total": _counters(ledger.total),
        "targets": {target: +counts for target, counts in ledger.targets.items()},  # like accounts: without what is 0
        "records_in_journal": ledger.in_journal,
        "exporters": [
            {"exporter": str(exporter) if exporter else None, "format": form, "domain": domain, "counters": _counters(book)}
            for (exporter, form, domain), book in _sorted(ledger)
        ],
        "losses": losses,
        "mend": _mend(ledger.losses[0]) if ledger.losses else None,
    }


def _counters(book: Book) -> dict[str, object]:
    """As `stats()` has them: a number, or numbers by label."""
    found: dict[str, object] = {name: count for name, count in book.counts.items() if count}
    for (name, label), count in book.labels.items():
        if count:
            family = found.get(name)
            found[name] = {**(family if isinstance(family, dict) else {}), label: count}
    return found


def _sorted(ledger: Ledger) -> list[tuple[Party, Book]]:
    """Who sent most first; what belongs to nobody last."""
    return sorted(ledger.parties.items(), key=lambda item: (item[0][0] is None, -item[1].counts["datagrams_received"], name_of(item[0])))


def _show(ledger: Ledger) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    first, last = (f"{minute:%Y-%m-%d %H:%M}" for minute in (ledger.first_minute, ledger.last_minute))
    console.print(f"from {first} to the end of {last} UTC\n")
    table = Table(box=None, pad_edge=False)
    table.add_column("exporter", no_wrap=True)
    for column in ("datagrams", "discarded", "records", "dropped", "sets lost", "sequence gaps"):
        table.add_column(column, justify="right")
    lines = [(name_of(party), cells) for party, book in _sorted(ledger) if set(cells := _cells(book)) != {"0"}]
    for name, cells in lines[:MAX_LINES]:
        table.add_row(name, *cells)
    table.add_section()
    table.add_row("all", *_cells(ledger.total))
    console.print(table)
    console.print(f"(and {len(lines) - MAX_LINES:,} more, with --json)\n" if len(lines) > MAX_LINES else "")
    for line in _sentences(ledger):
        console.print(line, soft_wrap=True, markup=False)


def _cells(book: Book) -> list[str]:
    counts = book.counts
    gaps = [f"{counts[f'sequence_lost_{unit}']:,} {unit}" for unit in ("records", "packets") if counts[f"sequence_lost_{unit}"]]
    numbers = ("datagrams_received", "datagrams_discarded", "records_received", "records_dropped", "sets_discarded")
    return [*(f"{counts[name]:,}" for name in numbers), ", ".join(gaps) or "0"]


def _sentences(ledger: Ledger) -> Iterator[str]:
    counts = ledger.total.counts
    if counts["kernel_drops"]:
        datagrams = plural(ledger.kernel_drops_datagrams, "datagram")
        yield f"the kernel dropped {plural(counts['kernel_drops'], 'reception')}, about {datagrams}"
    for name, unit in (("datagrams_discarded", "datagram"), ("sets_discarded", "data set"), ("records_dropped", "record")):
        if lost := ledger.total.of(name):
            why = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in lost.items())
            yield f"{plural(counts[name], unit)} lost: {why}"
    missed = [f"{counts[f'collector_down_{unit}']:,} {unit}" for unit in ("records", "packets") if counts[f"collector_down_{unit}"]]
    if missed:
        yield f"{' and '.join(missed)} sent while no collector ran"
    if counts["sets_waiting"]:
        yield f"{plural(counts['sets_waiting'], 'data set')} waiting for a template"
    for target, answers in ledger.targets.items():
        parts = [f"{plural(answers['records_written'], 'record')} written to {target}"]
        parts += [
            f"{answers[f'records_{name}']:,} {name.replace('_', ' ')}"
            for name in ("failed", "dropped", "in_flight")
            if answers[f"records_{name}"]
        ]
        yield ", ".join(parts)
    if ledger.in_journal:
        yield f"{plural(ledger.in_journal, 'record')} in the journal"
    imbalances = ledger.imbalances
    yield "it balances: every datagram and every record is accounted for" if not imbalances else "it does not balance"
    yield from (f"  {sentence}" for sentence in imbalances)
    if losses := ledger.losses:
        biggest = losses[0]
        yield f"biggest loss: {biggest.reason.replace('_', ' ')}, about {plural(round(biggest.records), 'record')}"
        if mend := _mend(biggest):
            yield f"hint: {mend}"


def _mend(loss: Loss) -> str:
    return MENDS.get((loss.counter, loss.reason), "")
