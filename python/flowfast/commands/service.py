"""A collector at work: what runs it, what can be asked of it, and how it changes while it runs."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from flowfast import _core, logs, reload, unknown
from flowfast.commands.targets import open_runner
from flowfast.commands.upkeep import Upkeep
from flowfast.config import Settings
from flowfast.counters import Snapshot, Stats
from flowfast.endpoint import Answer, Page, Request
from flowfast.errors import FlowfastError, reason
from flowfast.journal import Journal
from flowfast.metrics import MAX_DOMAINS, MAX_EXPORTERS, MAX_UNKNOWN_ELEMENTS, Metrics, State
from flowfast.pipeline import Pipeline, SinkRunner
from flowfast.progress import Progress, RunningTime
from flowfast.sinks import Account
from flowfast.units import plural


class Service:
    """A collector, its targets, and the settings in effect.

    Its pages are asked for on the threads of the HTTP endpoint; all else happens on the thread that runs the pipeline.
    """

    def __init__(
        self,
        settings: Settings,
        collector: _core.Collector,
        runners: Sequence[SinkRunner],
        journal: Journal | None = None,
        upkeep: Upkeep | None = None,
    ) -> None:
        self.settings = settings
        self.collector = collector
        self.journal = journal
        self._upkeep = upkeep
        self.runners = list(runners)
        self.accounts: list[Account] = [runner.account for runner in runners]
        self._pipeline: Pipeline | None = None
        self._clock = RunningTime()
        self._progress = Progress(self._clock.now_s)
        self._metrics = Metrics(self.state)
        self._started_s = 0.0
        self._reloaded_s = time.time()
        self._reload_failed = False
        self.stopping = False
        self._failed_before_stop = 0
        self._panics_told = 0
        self._templates_looked_at: int | None = None
        self._missed_told: dict[str, int] = {}

    def start(self) -> None:
        """Begin to receive."""
        self.collector.start()
        self._clock.start()
        self._started_s = time.time()

    def run(self, on_tick: Callable[[], None]) -> bool:
        """Hand rows to the targets until it is stopped and everything is written, with `on_tick` often; False if it was abandoned."""
        self._pipeline = Pipeline(self.collector, self.runners, wait=self.settings.blocks, on_tick=on_tick)
        complete = self._pipeline.run()
        self.collector.close()
        self._tell_closed()
        return complete

    def stop(self) -> None:
        """Read what the kernel holds, write it, and end."""
        if not self.stopping:
            self._failed_before_stop = self._records_failed
        self.stopping = True
        self.collector.stop()

    @property
    def lost_at_the_end(self) -> bool:
        """Whether rows that were still to be written when it was told to stop could not be."""
        return self._records_failed > self._failed_before_stop

    @property
    def _records_failed(self) -> int:
        return sum(account.records_failed for account in self.accounts if not account.reader_left)

    def abandon(self) -> None:
        """End without waiting for anything."""
        if self._pipeline is not None:
            self._pipeline.abandon()

    def rotate(self) -> None:
        """Commit the rotating files as they are, and begin others."""
        logs.info("rotating", "rotating now, as told")
        self.collector.rotate()

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take over what `load` gives, as far as that goes without a restart. What cannot be taken over changes nothing."""
        try:
            plan = reload.plan(self.settings, load(), journaled=self.journal is not None)
            runners = self._runners(plan.settings)
            if self._upkeep is not None:
                self._upkeep.change(plan.settings)
        except FlowfastError as error:
            self._reload_failed = True
            hint = f"; {error.hint}" if error.hint else ""
            logs.warning("reload_refused", f"the configuration was not reloaded, and nothing has changed: {error}{hint}")
            return
        self._reload_failed, self._reloaded_s = bool(plan.refused), time.time()
        for name in plan.refused:
            logs.warning("setting_needs_restart", f"`{name}` stays as it was: it changes with a restart only", setting=name)
        self._adopt(plan.settings, runners)
        changed = ", ".join(f"`{name}`" for name in plan.changed) or "nothing"
        logs.info("reloaded", f"reloaded the configuration, {changed} changed", changed=list(plan.changed))

    def _runners(self, settings: Settings) -> list[SinkRunner]:
        """The targets of new settings: those there are go on, others are tried out. Raises TargetError."""
        present = {runner.account.target: runner for runner in self.runners}
        return [present.get(str(target)) or open_runner(settings, target, replace=False, journal=self.journal) for target in settings.to]

    def _adopt(self, settings: Settings, runners: list[SinkRunner]) -> None:
        present = self.settings
        # With a journal each segment belongs to one set of targets, so an interval ends where another set takes over.
        hands_over = self.journal is not None and settings.to != present.to
        if settings.rotation_s != present.rotation_s or hands_over:
            self.collector.rotate(settings.rotation_s)
        if (settings.limits, settings.allow, settings.deny) != (present.limits, present.allow, present.deny):
            self.collector.set_admission(limits=settings.limits.admission(), allow=settings.allow, deny=settings.deny)
        self.collector.set_when_full("block" if settings.blocks else "drop")
        if self._pipeline is not None:
            workers = [worker["worker"] for worker in self.collector.stats()["workers"]] if hands_over else []
            self._pipeline.change(runners, wait=settings.blocks, workers=workers)
        if self.journal is None and settings.journal_directory is not None and present.journal_directory is None:
            logs.warning("setting_needs_restart", "the new targets have no `journal` until a restart", setting="journal")
        self.settings, self.runners = settings, runners
        self.accounts[:] = [runner.account for runner in runners]

    def look(self) -> None:
        """Note what has moved, and which of the targets that a reload left out have closed. Call about once a second."""
        self._tell_closed()
        self._tell_panics()
        stats = self.collector.stats()
        self._tell_unknown(stats["templates_new"])
        self._tell_missed(stats)
        waits_for_targets = self.settings.blocks and stats["queue_depth"] >= stats["queue_capacity"]
        workers = {
            f"worker {worker['worker']}": None if waits_for_targets or self.stopping else worker["heartbeats"]
            for worker in stats["workers"]
        }
        beats = [runner.beats if runner.rows_waiting else None for runner in self.runners]
        # One stuck target costs the others nothing, and a restart would not mend it.
        targets = {} if None in beats else {"every target": sum(beat or 0 for beat in beats)}
        self._progress.look(workers | targets)

    def _tell_panics(self) -> None:
        """Log the datagrams that the decoder panicked on: each is what a report of the fault needs."""
        datagrams = self.collector.fatal_datagrams()
        for exporter, _, port, payload in datagrams[self._panics_told :]:
            logs.error(
                "worker_panic",
                f"a datagram of {exporter} to port {port} ran into a fault of flowfast's own; please report it with this line",
                exporter=exporter,
                datagram=payload.hex(),
            )
        self._panics_told = len(datagrams)

    def _tell_unknown(self, templates: int) -> None:
        """Log elements that no registry knows, when there are templates that have not been looked at."""
        if templates != self._templates_looked_at:
            news = self.collector.news_of_unknown_elements(unknown.LINES_AT_ONCE)
            unknown.tell(news)
            if len(news) < unknown.LINES_AT_ONCE:
                self._templates_looked_at = templates

    def _tell_missed(self, stats: Stats) -> None:
        """Log what exporters sent while no collector ran: their first datagrams after a restart tell."""
        missed = {unit: stats[f"collector_down_{unit}"] for unit in ("records", "packets") if stats[f"collector_down_{unit}"]}
        if missed != self._missed_told:
            self._missed_told = missed
            count = " and ".join(f"{number:,} {unit}" for unit, number in missed.items())
            logs.warning("missed_while_down", f"{count} were sent while no collector ran, by the exporters' sequence numbers", **missed)

    def _tell_closed(self) -> None:
        for runner in self._pipeline.take_closed() if self._pipeline is not None else ():
            ledger = runner.account.as_dict()
            logs.info(
                "target_closed", f"{ledger['target']} is closed: {plural(runner.account.records_written, 'record')} written", **ledger
            )

    @property
    def stuck(self) -> list[str]:
        """Parts that make no progress."""
        return self._progress.stuck()

    def not_ready(self) -> list[str]:
        """Why it is not ready, in words: nothing if the sockets are bound and every target is being written."""
        problems = [] if self._started_s and not self.stopping else ["it is stopping" if self.stopping else "it is starting"]
        failing = [account for account in list(self.accounts) if account.failing]
        problems += [f"{account.target} is not being written: {reason(account.last_error or OSError())}" for account in failing]
        return problems + [f"{part} is stuck" for part in self.stuck]

    def state(self) -> State:
        """Everything that is counted, now."""
        return State(
            stats=self.collector.stats(),
            listeners=self.collector.listeners(),
            series=self.collector.series(MAX_EXPORTERS, MAX_DOMAINS, MAX_UNKNOWN_ELEMENTS),
            accounts=self.collector.accounts(),
            runners=list(self.runners),
            ready=not self.not_ready(),
            started_s=self._started_s,
            reloaded_s=self._reloaded_s,
            reload_failed=self._reload_failed,
        )

    def snapshot(self) -> Snapshot:
        """The sums of the status line."""
        return Snapshot.take(time.monotonic(), self.collector.stats(), self.collector.exporter_count(), self.accounts)

    def pages(self) -> dict[str, Page]:
        """What is served over HTTP."""

        def metrics(request: Request) -> Answer:
            return Answer(*self._metrics.render(request.accept))

        def healthy(_: Request) -> Answer:
            return _verdict([f"{part} is stuck" for part in self.stuck])

        return {
            "/metrics": metrics,
            "/healthz": healthy,
            "/__health": healthy,  # goflow2's name
            "/readyz": lambda _: _verdict(self.not_ready()),
            "/exporters": lambda request: Answer.rows(self.collector.exporters, request),
            "/templates": lambda request: Answer.rows(self.collector.templates, request),
            "/stats": lambda _: Answer.json(self._stats()),
        }

    def _stats(self) -> dict[str, Any]:
        return {
            "version": _core.__version__,
            "time": time.time(),
            "started": self._started_s,
            "counters": self.collector.stats(),
            "listeners": self.collector.listeners(),
            "targets": [account.as_dict() | {"failing": account.failing} for account in list(self.accounts)],
        }


def _verdict(problems: Sequence[str]) -> Answer:
    return Answer.text("\n".join(problems) or "ok", ok=not problems)
