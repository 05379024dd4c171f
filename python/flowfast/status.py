"""How a run is going: a live line on a terminal, a log line a minute elsewhere, a summary at the end."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from flowfast import logs
from flowfast.counters import Snapshot, Stats, nonzero, total
from flowfast.errors import reason
from flowfast.journal import JournalCounters
from flowfast.sinks import Account
from flowfast.units import format_count, plural

_LINE_S = 0.5
_LOG_S = 60.0


class Status:
    """Watches the counters; `tick` is cheap and is called often. A context manager: the live line ends with it."""

    def __init__(self, console: Console, take: Callable[[], Snapshot], accounts: Sequence[Account], *, live: bool) -> None:
        self._take = take
        self._accounts = accounts
        self._live = Live(console=console, auto_refresh=False, transient=True) if live else None
        self._interval_s = _LINE_S if live else _LOG_S
        self._earlier = take()
        self._due_s = self._earlier.at_s + self._interval_s
        self._failures = _Failures(accounts)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave_terminal()

    def _leave_terminal(self) -> None:
        """No live line any more: log lines instead."""
        live, self._live, self._interval_s = self._live, None, _LOG_S
        if live is not None:
            with suppress(OSError):  # there is no terminal to leave tidy
                live.stop()

    def tick(self) -> None:
        """Show what is due."""
        now_s = monotonic()
        self._failures.tell(now_s)
        if now_s < self._due_s:
            return
        snapshot = self._take()
        if self._live is not None:
            try:
                self._live.update(Text(line(snapshot, self._earlier), no_wrap=True, overflow="ellipsis"), refresh=True)
            except OSError:  # the terminal has gone, which is no reason to stop receiving
                self._leave_terminal()
        else:
            rates = snapshot.rates_since(self._earlier)
            lost = {name: count for name, count in snapshot.losses.items() if count}
            logs.info("status", line(snapshot, self._earlier), **rates, exporters=snapshot.exporters, losses=lost)
        self._earlier = snapshot
        self._due_s = snapshot.at_s + self._interval_s


class _Failures:
    """Logs rows that targets lose: the first at once and then once a minute, for a full disk stays full for long."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._accounts = accounts
        self._told: Counter[str] = Counter()
        self._retries_told: Counter[str] = Counter()
        self._due_s: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._failing: set[str] = set()
        self._all_failing = False

    def tell(self, now_s: float) -> None:
        for account in self._accounts:
            for kind, tell in (("lost", self._tell_lost), ("retrying", self._tell_retrying)):
                if now_s >= self._due_s[account.target, kind] and tell(account):
                    self._due_s[account.target, kind] = now_s + _LOG_S
            if account.target in self._failing and not account.failing:
                self._failing.remove(account.target)
                logs.info("target_recovered", f"{account.target} can be written again", target=account.target)
        all_failing = all(account.failing for account in self._accounts) and not all(account.reader_left for account in self._accounts)
        if all_failing and not self._all_failing:
            logs.error("all_targets_failing", "every target is failing; reception goes on, and what they lose is counted")
        self._all_failing = all_failing

    def _tell_lost(self, account: Account) -> bool:
        if not (lost := _news(account.records_lost, self._told, account.target)):
            return False
        why = reason(account.last_error) if account.failing and account.last_error else "it is slower than the flows"
        level = logging.INFO if account.reader_left else logging.ERROR
        logs.event(level, "target_lost", f"{account.target} lost {plural(lost, 'record')}: {why}", target=account.target, records=lost)
        return True

    def _tell_retrying(self, account: Account) -> bool:
        if not (_news(account.retries, self._retries_told, account.target) and account.failing and account.last_error):
            return False
        self._failing.add(account.target)
        why = reason(account.last_error)
        logs.warning(
            "target_retrying", f"{account.target} cannot be written: {why}; rows wait, and it is tried again", target=account.target
        )
        return True


def _news(count: int, told: Counter[str], target: str) -> int:
    """What was counted since it was told. A target that was opened anew counts from 0."""
    news = count - told[target]
    told[target] = count
    return max(news, 0)


def line(snapshot: Snapshot, earlier: Snapshot) -> str:
    """Rates since `earlier`, and what has been lost since the start."""
    rates = snapshot.rates_since(earlier)
    lost = [f"{name.replace('_', ' ')} {format_count(count)}" for name, count in snapshot.losses.items() if count]
    return (
        f"{format_count(rates['datagrams_per_s'])} datagrams/s  {format_count(rates['records_per_s'])} records/s  "
        f"{plural(snapshot.exporters, 'exporter')}  lost: {', '.join(lost) or 'nothing'}"
    )


def summary(stats: Stats, accounts: Sequence[Account]) -> list[str]:
    """The closing lines: what came, what became of it, and what each target got."""
    counters = nonzero(stats)
    lines = [
        f"{plural(total(stats, 'datagrams_received'), 'datagram')} received, {plural(total(stats, 'records_decoded'), 'record')} decoded"
    ]
    for name, unit in _LOSSES.items():
        if count := total(stats, name):
            labels = counters.get(name)
            by_label = ", ".join(f"{label} {n:,}" for label, n in labels.items()) if isinstance(labels, dict) else ""
            lines.append(f"  {plural(count, unit[0])} {unit[1]}" + (f": {by_label}" if by_label else ""))
    for account in accounts:
        parts = [f"{plural(account.records_written, 'record')} written to {account.target}"]
        if account.files_written > 1:
            parts[0] += f" in {account.files_written:,} files"
        for name in ("failed", "dropped", "deferred", "in_flight"):
            if count := getattr(account, f"records_{name}"):
                parts.append(f"{count:,} {name.replace('_', ' ')}")
        lines.append(", ".join(parts))
    return lines


def journal_summary(journal: JournalCounters) -> list[str]:
    """What the journal gave, and what it still has."""
    lines = []
    if journal.records_recovered:
        lines.append(f"{plural(journal.records_recovered, 'record')} recovered from the journal")
    if journal.segments_waiting:
        lines.append(f"{plural(journal.segments_waiting, 'segment')} left in the journal for the next start")
    return lines


_LOSSES = {
    "packets_skipped": ("packet", "skipped"),
    "datagrams_discarded": ("datagram", "discarded"),
    "sets_discarded": ("data set", "not decoded"),
    "sets_waiting": ("data set", "still waiting for a template"),
    "sequence_lost_records": ("record", "lost before flowfast, by sequence numbers"),
    "sequence_lost_packets": ("export packet", "lost before flowfast, by sequence numbers"),
    "collector_down_records": ("record", "sent while no collector ran"),
    "collector_down_packets": ("export packet", "sent while no collector ran"),
    "kernel_drops": ("drop", "by the kernel, of a datagram or a train of them each"),
    "records_dropped": ("record", "dropped on the way to the targets"),
    "warnings": ("oddity", "noticed"),
}
