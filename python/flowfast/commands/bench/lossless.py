"""`flowfast bench lossless`: the highest rate at which a collector loses nothing (RFC 2544 section 26.1, RFC 6645 section 6.1).

A rate passes if in every trial all flows sent are stored, and the collector has ended soon after the stream. The rates double until one
fails; then the interval is halved until it is narrow enough.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.status import Status

from flowfast.commands.bench.collectors import Adapter, adapters
from flowfast.commands.bench.processes import Process
from flowfast.commands.bench.report import figures, print_report, progress, scratch
from flowfast.commands.bench.sockets import free_port, socket_state, wait_until_read
from flowfast.commands.bench.stream import Stream

FIRST_RATE, LAST_RATE = 125_000, 32_000_000
KEEPS_UP_S = 3.0
"""How long a collector may take to read, write and end after the stream: longer, and it had put off what it could not do in time."""
_SETTLE_S = 0.5
_SENT_SHARE = 0.95
"""Below this share of the rate that was asked for it is the sender that is measured."""
_TABLE = (
    "target", "lossless_records_per_second", "lost_at_records_per_second", "ns_per_record", "user_ns_per_record", "octets_per_record",
    "peak_mib", "lost", "kernel_drops", "sender_kept_up",
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One stream into one collector. CPU time is from being ready to the end."""

    asked_rate: int
    sent: Mapping[str, int]
    stored: int
    kernel_drops: int
    cpu_s: float
    user_s: float
    peak_octets: int
    octets: int
    late_s: float

    @property
    def rate(self) -> float:
        """Records a second, as they were sent."""
        return self.sent["flows"] / self.sent["elapsed_ns"] * 1e9

    @property
    def lost(self) -> int:
        """Flows sent and not stored."""
        return self.sent["flows"] - self.stored

    @property
    def passed(self) -> bool:
        """Whether the collector kept up."""
        return self.lost == 0 and self.late_s <= KEEPS_UP_S

    @property
    def sender_kept_up(self) -> bool:
        """Whether the rate was the one asked for."""
        return self.rate >= _SENT_SHARE * self.asked_rate


def run(
    *,
    targets: Sequence[str],
    count: str | None,
    stream: Stream,
    rate: int | None,
    resolution: float,
    repeats: int,
    as_json: bool,
) -> int:
    """Search for each target, or try `rate` only, and print all. Returns the exit code."""
    reports = []
    with scratch() as directory, progress() as status:
        for adapter in adapters(targets, count):
            bench = _Bench(adapter, stream, repeats, directory, status)
            passed, failed = bench.search(resolution) if rate is None else bench.only(rate)
            reports.append(summary(adapter.name, passed, failed))
    load = {"template": stream.template, "order": stream.order, "kernel": "auto"}
    method = {"trial_seconds": stream.seconds, "resolution": resolution, "repeats": repeats, "rate": rate, "trains": stream.trains}
    print_report(load | method, reports, table=_TABLE, as_json=as_json)
    return 0


class _Bench:
    """The trials of one collector."""

    def __init__(self, adapter: Adapter, stream: Stream, repeats: int, directory: Path, status: Status) -> None:
        self._adapter = adapter
        self._stream = stream
        self._repeats = repeats
        self._directory = directory
        self._status = status

    def search(self, resolution: float) -> tuple[Trial | None, Trial | None]:
        """A trial at the highest rate that passed, and one at the lowest that did not."""
        passed, failed = None, None
        rate = FIRST_RATE
        while rate <= LAST_RATE:
            tried = self._try(rate)
            if tried.passed:
                passed = tried
            else:
                failed = tried
            if not tried.sender_kept_up:
                break
            if failed is None:
                rate *= 2
            elif passed is None:
                if rate < FIRST_RATE / 64:
                    break
                rate //= 2
            elif failed.asked_rate <= passed.asked_rate * (1 + resolution):
                break
            else:
                rate = (passed.asked_rate + failed.asked_rate) // 2
        return passed, failed

    def only(self, rate: int) -> tuple[Trial | None, Trial | None]:
        """The same at one rate."""
        tried = self._try(rate)
        return (tried, None) if tried.passed else (None, tried)

    def _try(self, rate: int) -> Trial:
        """The median trial by CPU time, or the first that fails."""
        trials = []
        for turn in range(self._repeats):
            self._status.update(f"{self._adapter.name}: {rate:,} flows/s, trial {turn + 1} of {self._repeats}")
            trials.append(trial(self._adapter, self._stream, rate, self._directory))
            if not trials[-1].passed:
                return trials[-1]
        return sorted(trials, key=lambda each: each.cpu_s)[(len(trials) - 1) // 2]


def trial(adapter: Adapter, stream: Stream, rate: int, directory: Path) -> Trial:
    """Start the collector, send, wait until it has read all, end it, and ask what it has. Raises ProcessFailed."""
    with TemporaryDirectory(dir=directory) as place:
        port = free_port()
        with Process(adapter.command(port, Path(place)), Path(place), "log") as process:
            process.wait_until_ready(lambda: socket_state(port) is not None)
            time.sleep(_SETTLE_S)
            start_s, start_user_s = process.cpu_s(), process.user_s()
            sent = stream.send(port, rate, directory)
            ended = time.monotonic()
            wait_until_read(port)
            time.sleep(_SETTLE_S)  # what it has read it still has to decode, and nfcapd forgets the rest when it is told to end
            state = socket_state(port)
            adapter.stop(process.pid, port)
            usage = process.wait(check=False)
            late_s = time.monotonic() - ended - _SETTLE_S
        return Trial(
            asked_rate=rate,
            sent=sent,
            stored=adapter.count(Path(place), process.output),
            kernel_drops=state.drops if state else 0,
            cpu_s=usage.cpu_s - start_s,
            user_s=usage.user_s - start_user_s,
            peak_octets=usage.peak_octets,
            octets=sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file() and path.name != "log"),
            late_s=late_s,
        )


def summary(name: str, passed: Trial | None, failed: Trial | None) -> dict[str, Any]:
    """The figures of one collector: of the highest rate that it kept up with, or else of the lowest that it did not."""
    shown = passed or failed
    if shown is None:
        raise AssertionError("a search tries one rate at least")
    shared = figures(
        records=shown.stored, cpu_records=shown.sent["flows"], cpu_s=shown.cpu_s, floor_s=None, baseline_s=None, lost=shown.lost
    )
    return (
        {"target": name}
        | shared
        | {
            "lossless_records_per_second": round(passed.rate) if passed else None,
            "lost_at_records_per_second": round(failed.rate) if failed else None,
            "lost_there": failed.lost if failed else None,
            "late_there_seconds": round(failed.late_s, 2) if failed else None,
            "sender_kept_up": shown.sender_kept_up,
            "user_ns_per_record": round(shown.user_s * 1e9 / shown.sent["flows"], 2),
            "octets_per_record": round(shown.octets / shown.stored, 2) if shown.octets and shown.stored else None,
            "peak_mib": round(shown.peak_octets / 2**20),
            "kernel_drops": shown.kernel_drops,
        }
    )
