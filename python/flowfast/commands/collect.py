"""`flowfast collect`: receive until told to stop."""

from time import monotonic
from typing import Any

from rich.console import Console

from flowfast import _core, logs
from flowfast.commands.signals import StopSignals
from flowfast.commands.targets import flows_schema, open_runners, readers_left, stdout_is_shared
from flowfast.commands.upkeep import Upkeep, open_journal
from flowfast.config import Settings
from flowfast.core_errors import bind_error, usage_errors
from flowfast.counters import Snapshot, nonzero
from flowfast.errors import EXIT_FAILED, UsageError
from flowfast.journal import Journal
from flowfast.pipeline import Pipeline
from flowfast.status import Status, journal_summary, summary
from flowfast.units import format_octets, plural

BATCH_AGE_MS = 1000


def run(settings: Settings) -> int:
    """Receive, decode and write until SIGTERM or Ctrl-C; then flush everything. Returns the exit code."""
    check(settings)
    console = Console(stderr=True)
    logs.set_up(console, service=True)
    journal = open_journal(settings)
    collector = open_collector(settings, journal)
    runners = open_runners(settings, replace=False, journal=journal)
    accounts = [runner.account for runner in runners]
    upkeep = Upkeep(journal, collector, settings) if journal else None

    def snapshot() -> Snapshot:
        return Snapshot.take(monotonic(), collector.stats(), len(collector.exporters()), accounts)

    live = console.is_terminal and not stdout_is_shared(settings.to)
    with StopSignals() as signals, Status(console, snapshot, accounts, live=live) as status:

        def tick() -> None:
            status.tick()
            if signals.count >= 2:
                pipeline.abandon()
            elif signals.count or readers_left(runners):
                collector.stop()

        announce(collector, settings)
        pipeline = Pipeline(collector, runners, wait=settings.blocks, on_tick=tick)
        collector.start()
        if upkeep:
            upkeep.start()
        complete = pipeline.run()
        collector.close()
        if upkeep:
            upkeep.close()
    if not complete:
        in_flight = sum(account.records_in_flight for account in accounts)
        logs.error("abandoned", f"stopped at once: {plural(in_flight, 'record')} in flight are lost", records=in_flight)
    stats = nonzero(collector.stats())
    lines = summary(stats, accounts)
    fields: dict[str, Any] = {}
    if journal:
        fields["journal"] = journal.counters.as_dict()
        lines += journal_summary(journal.counters)
    logs.info("summary", "\n".join(lines), counters=stats, targets=[account.as_dict() for account in accounts], **fields)
    return 0 if complete else EXIT_FAILED


def check(settings: Settings) -> None:
    """Refuse what is known to be impossible before anything is opened. Raises UsageError."""
    flows_schema(settings)
    for target in settings.to:
        if settings.schema_ == "wire" and target.layout == "file" and target.format != "ndjson":
            raise UsageError(
                f"`{target}` cannot hold the many tables of the wire schema", f"write to `{target.format}:DIR`, or to an .ndjson file"
            )


def open_collector(settings: Settings, journal: Journal | None = None) -> _core.Collector:
    """Learn the templates that the journal knows, then bind the sockets. Raises BindError or UsageError."""
    state = journal.adopt() if journal else []
    listeners = [uri.resolve(settings.workers) for uri in settings.listen]
    try:
        with usage_errors():
            return _core.Collector(
                listeners,
                schema=settings.schema_,
                columns=settings.columns,
                lenient=settings.lenient,
                rcvbuf=settings.rcvbuf,
                rotate_s=settings.rotation_s,
                batch_age_ms=BATCH_AGE_MS,
                when_full="block" if settings.blocks else "drop",
                journal=(journal.directory, journal.run) if journal else None,
                state=state,
            )
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
    for target in settings.to:
        logs.info("writing", f"writing to {target}", target=str(target))
