"""`flowfast collect`: receive until told to stop."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from rich.console import Console

from flowfast import _core, logs
from flowfast.commands.service import Service
from flowfast.commands.signals import ServiceSignals
from flowfast.commands.targets import flows_schema, open_runners, readers_left, stdout_is_shared
from flowfast.commands.upkeep import Upkeep, open_journal
from flowfast.config import Settings
from flowfast.core_errors import bind_error, usage_errors
from flowfast.counters import nonzero
from flowfast.endpoint import Endpoint
from flowfast.errors import EXIT_FAILED, BindError, UsageError
from flowfast.journal import Journal
from flowfast.status import Status, journal_summary, line, summary
from flowfast.systemd import Notifier, inherited_sockets
from flowfast.units import format_octets, plural

BATCH_AGE_MS = 1000
LOOK_EVERY_S = 1.0
STOP_S = 30.0
"""Time to stop that the service manager is asked for while what was received is being written."""


def run(load: Callable[[], Settings]) -> int:
    """Receive, decode and write until SIGTERM or Ctrl-C; then flush everything. Returns the exit code.

    `load` reads the settings, at the start and whenever SIGHUP asks for it.
    """

    def load_checked() -> Settings:
        settings = load()
        check(settings)
        return settings

    settings = load_checked()
    console = Console(stderr=True)
    logs.set_up(console, service=True)
    notifier = Notifier(os.environ)
    journal = open_journal(settings)
    collector = open_collector(settings, inherited_sockets(os.environ), journal)
    upkeep = Upkeep(journal, collector, settings) if journal else None
    service = Service(settings, collector, open_runners(settings, replace=False, journal=journal), journal, upkeep)
    supervision = Supervision(service, notifier)
    live = console.is_terminal and not stdout_is_shared(settings.to)
    with ServiceSignals() as signals, Status(console, service.snapshot, service.accounts, live=live) as status, open_endpoint(service):

        def tick() -> None:
            status.tick()
            supervision.tick()
            if signals.count >= 2:
                service.abandon()
            elif signals.count or readers_left(service.runners):
                service.stop()
            elif signals.take_reload():
                supervision.reload(load_checked)
            elif signals.take_rotation():
                service.rotate()

        announce(collector, settings)
        service.start()
        if upkeep:
            upkeep.start()
        supervision.ready()
        complete = service.run(tick)
        if upkeep:
            upkeep.close()
    if not complete:
        in_flight = sum(account.records_in_flight for account in service.accounts)
        logs.error("abandoned", f"stopped at once: {plural(in_flight, 'record')} in flight are lost", records=in_flight)
    stats = nonzero(collector.stats())
    lines = summary(stats, service.accounts)
    fields: dict[str, Any] = {}
    if journal:
        fields["journal"] = journal.counters.as_dict()
        lines += journal_summary(journal.counters)
    logs.info("summary", "\n".join(lines), counters=stats, targets=[account.as_dict() for account in service.accounts], **fields)
    all_lost = all(runner.lost for runner in service.runners) and not readers_left(service.runners)
    return EXIT_FAILED if all_lost or not complete or service.lost_at_the_end else 0


class Supervision:
    """Looks after a service once a second, and tells the service manager, if there is one, how it is."""

    def __init__(self, service: Service, notifier: Notifier) -> None:
        self._service = service
        self._notifier = notifier
        self._due_s = 0.0
        self._stopping = False
        self._earlier = service.snapshot()

    def ready(self) -> None:
        """The service receives."""
        self._notifier.ready(self._line())

    def reload(self, load: Callable[[], Settings]) -> None:
        """Reload the settings between two events."""
        self._notifier.reloading()
        self._service.reload(load)
        self._notifier.ready(self._line())

    def tick(self) -> None:
        """Look, if it is time."""
        now_s = monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + LOOK_EVERY_S
        self._service.look()
        if self._service.stopping and not self._stopping:
            self._stopping = True
            self._notifier.stopping("writing what has been received")
        if self._service.stuck:
            return  # the watchdog goes unfed
        self._notifier.feed_watchdog()
        if self._stopping:
            self._notifier.extend_stop(STOP_S)
        elif self._notifier.is_heard:
            self._notifier.status(self._line())

    def _line(self) -> str:
        earlier, self._earlier = self._earlier, self._service.snapshot()
        return line(self._earlier, earlier)


def open_endpoint(service: Service) -> AbstractContextManager[object]:
    """Serve what can be asked of the service, if it is to be served.

    Raises BindError if there is an address that was asked for; the default one may be taken by another program.
    """
    address = service.settings.http
    if address.port is None:
        return nullcontext()
    try:
        endpoint = Endpoint(address, service.pages())
    except BindError as error:
        if "http" in service.settings.model_fields_set:
            raise
        logs.warning("no_http", f"{error}; {error.hint}")
        return nullcontext()
    logs.info("serving", f"metrics at http://{endpoint.address}/metrics", address=str(endpoint.address))
    return endpoint


def check(settings: Settings) -> None:
    """Refuse what is known to be impossible before anything is opened. Raises UsageError."""
    flows_schema(settings)
    for target in settings.to:
        if settings.schema_ == "wire" and target.layout == "file" and target.format != "ndjson":
            raise UsageError(
                f"`{target}` cannot hold the many tables of the wire schema", f"write to `{target.format}:DIR`, or to an .ndjson file"
            )


def open_collector(settings: Settings, inherited: Sequence[tuple[int, str]] = (), journal: Journal | None = None) -> _core.Collector:
    """Learn the templates that the journal knows, then take over the sockets that the service manager has bound, or bind those of the
    settings. Raises BindError or UsageError.
    """
    state = journal.adopt() if journal else []
    listeners = [] if inherited else [uri.resolve(settings.workers) for uri in settings.listen]
    try:
        with usage_errors():
            collector = _core.Collector(
                listeners,
                inherited=inherited,
                **settings.decoding,
                rcvbuf=settings.rcvbuf,
                rotate_s=settings.rotation_s,
                batch_age_ms=BATCH_AGE_MS,
                when_full="block" if settings.blocks else "drop",
                journal=(journal.directory, journal.run) if journal else None,
                state=state,
                queue_batches=settings.limits.queue_batches,
                limits=settings.limits.for_core(),
                allow=settings.allow,
                deny=settings.deny,
                ledger=True,  # targets change with the configuration; what no target keeps costs next to nothing
            )
            for descriptor, _ in inherited:
                os.close(descriptor)  # the collector has duplicates
            return collector
    except OSError as error:
        raise bind_error(error, ", ".join(str(uri) for uri in settings.listen)) from error


def announce(collector: _core.Collector, settings: Settings) -> None:
    """Say what is listened on, with which receive buffer, and which of goflow2's settings mean nothing here."""
    for uri in settings.listen:
        if uri.ignored:
            logs.info(
                "setting_ignored", f"{uri}: {', '.join(uri.ignored)} ignored: workers share no queue here", settings=list(uri.ignored)
            )
    for listener in collector.listeners():
        granted, requested = listener["rcvbuf_granted"], listener["rcvbuf_requested"]
        workers = plural(listener["workers"], "worker")
        logs.info(
            "listening",
            f"listening on {listener['uri']} with {workers}, receive buffer {format_octets(granted)} of {format_octets(requested)}",
            **listener,
        )
    short = [listener for listener in collector.listeners() if listener["rcvbuf_granted"] < listener["rcvbuf_requested"]]
    if short:
        mend = f"sysctl -w net.core.rmem_max={short[0]['rcvbuf_requested']}"
        logs.warning("receive_buffer", f"the kernel granted less receive buffer than asked for; `{mend}` mends it", mend=mend)
    if (until_ns := collector.recalled_until_ns()) is not None:
        until = datetime.fromtimestamp(until_ns / 1e9, UTC)
        ago_s = max(time.time() - until_ns / 1e9, 0)
        logs.info(
            "resumed",
            f"an earlier run received until {until:%Y-%m-%d %H:%M:%S} UTC, {ago_s:,.1f} s ago; what exporters have sent since is counted "
            "as collector_down_records and collector_down_packets",
            until=until.isoformat(timespec="milliseconds"),
            down_s=round(ago_s, 3),
        )
    for target in settings.to:
        logs.info("writing", f"writing to {target}", target=str(target))
