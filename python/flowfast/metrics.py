"""The counters as Prometheus metrics. Whoever sends to us chooses no label without a bound."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder

from flowfast._core import __version__
from flowfast.counters import COUNTERS, LABELS, REFUSED, Stats, is_gauge
from flowfast.pipeline import SinkRunner

MAX_EXPORTERS = 1000
"""Exporters that have series of their own."""
MAX_UNKNOWN_ELEMENTS = 500
"""Elements in no registry that have series of their own."""
MAX_DOMAINS = 2000
"""Observation Domains that have series of their own."""

_RENAMED = {
    "sets_waiting": "waiting_for_template_sets",
    "set_octets_waiting": "waiting_for_template_octets",
    "sets_discarded": "waiting_for_template_dropped",
}
"""Counters that go by the name that users of other collectors know. All others are `flowfast_` and their own name."""
_ELSEWHERE = ("workers", "queue_depth", "queue_capacity", "packets_read", "packets_skipped")
"""Counters that are told by stage or by socket, and those of captures."""

NO_SERIES: Mapping[str, Any] = {"exporters": 0, "by_exporter": (), "by_domain": (), "unknown_elements": ()}


@dataclass(frozen=True)
class State:
    """Everything that is counted, at one moment."""

    stats: Stats = field(default_factory=dict)
    listeners: Sequence[Mapping[str, Any]] = ()
    series: Mapping[str, Any] = field(default_factory=lambda: NO_SERIES)
    """What exporters sent, as far as there is room for them: `_core.Collector.series`."""
    accounts: Sequence[Mapping[str, Any]] = ()
    """What became of what each exporter sent, as the ledger has it."""
    runners: Sequence[SinkRunner] = ()
    ready: bool = False
    started_s: float = 0
    """UNIX seconds."""
    reloaded_s: float = 0
    """When the configuration in effect was read, UNIX seconds."""
    reload_failed: bool = False


class Metrics:
    """Metric families out of the state of a collector: a Prometheus collector. One thread at a time may use it."""

    def __init__(self, take: Callable[[], State]) -> None:
        self._take = take
        self._process = ProcessCollector(registry=None)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, as an `Accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type

    def collect(self) -> Iterator[Metric]:
        """Every family, those without a sample too."""
        state = self._take()
        yield _gauge("build_info", "Always 1; the version is a label.", ["version"], [([__version__], 1)])
        yield _gauge("ready", "Whether the sockets are bound and every target is being written.", [], [([], state.ready)])
        yield _gauge("start_time_seconds", "When reception began, UNIX time.", [], [([], state.started_s)])
        yield _gauge("config_last_reload_timestamp_seconds", "When the settings in effect were read.", [], [([], state.reloaded_s)])
        yield _gauge("config_last_reload_successful", "Whether the last reload was taken.", [], [([], not state.reload_failed)])
        yield from _counters(state.stats)
        yield from _sockets(state)
        yield from _of_exporters(state.series)
        yield from _of_accounts(state.accounts, {each["exporter"] for each in state.series["by_exporter"]})
        yield from _queues(state)
        yield from _sinks(state.runners)
        yield from self._process.collect()


_EXPORTER_COUNTERS = (
    ("exporter_packets", "datagrams", "Datagrams of an exporter."),
    ("exporter_flows", "records", "Flow Records and options data records of an exporter."),
)


def _of_exporters(series: Mapping[str, Any]) -> Iterator[Metric]:
    by_exporter = series["by_exporter"]
    shown = {each["exporter"] for each in by_exporter}
    yield _gauge("exporters", "Exporters known.", [], [([], series["exporters"])])
    yield _gauge(
        "exporters_without_series",
        f"Exporters beyond the {MAX_EXPORTERS} that have series.",
        [],
        [([], series["exporters"] - len(shown))],
    )
    for name, key, doc in _EXPORTER_COUNTERS:
        yield _counter(name, doc, ["exporter", "version"], (([each["exporter"], each["format"]], each[key]) for each in by_exporter))
    yield _gauge("templates", "Templates known.", ["exporter"], (([each["exporter"]], each["templates"]) for each in by_exporter))
    yield _gauge(
        "unknown_elements",
        "Transport Sessions whose templates have an element that is in no registry.",
        ["pen", "id"],
        (([str(pen), str(element)], sessions) for pen, element, sessions in series["unknown_elements"]),
    )
    told = sorted((each for each in by_exporter if each["clock_ahead_ms"] is not None), key=lambda each: each["clock_told_ns"])
    delays = {each["exporter"]: -each["clock_ahead_ms"] / 1000 for each in told}
    yield _gauge(
        "export_delay_seconds",
        "From the export time in an exporter's latest message until it was received: transport, and what its clock is behind ours.",
        ["exporter"],
        (([exporter], delay_s) for exporter, delay_s in delays.items()),
    )
    yield _counter(
        "sequence_lost",
        "Lost before flowfast, by sequence numbers, in the unit that the format counts in.",
        ["exporter", "obs_domain_id", "unit"],
        (
            ([each["exporter"], str(each["domain"]), each["lost_unit"]], each["lost"])
            for each in series["by_domain"]
            if each["lost_unit"] != "none"
        ),
    )


def _of_accounts(accounts: Sequence[Mapping[str, Any]], shown: set[str]) -> Iterator[Metric]:
    """Of exporters without series, all together have one, with an empty label."""
    named = [(each["exporter"] if each["exporter"] in shown else "", each) for each in accounts]
    yield _counter(
        "exporter_bytes",
        "UDP payload of an exporter, in octets; what shows no version has none.",
        ["exporter", "version"],
        (([exporter, each["format"] or ""], each["counters"].get("octets_received", 0)) for exporter, each in named),
    )
    yield _counter(
        "decode_errors",
        "Datagrams of an exporter that could not be decoded. What the settings refuse is not among them.",
        ["exporter", "error"],
        (
            ([exporter, label], count)
            for exporter, each in named
            for label, count in each["counters"].get("datagrams_discarded", {}).items()
            if label not in REFUSED
        ),
    )


def _counters(stats: Stats) -> Iterator[Metric]:
    """The counters of the core, whichever there are."""
    for name, doc in COUNTERS.items():
        if name in _ELSEWHERE:
            continue
        family = _gauge if is_gauge(name) else _counter
        value = stats.get(name, 0)
        labelled = isinstance(value, Mapping) or name in LABELS
        samples = value.items() if isinstance(value, Mapping) else [("", value)] if name not in LABELS else []
        yield family(
            _RENAMED.get(name, name),
            doc,
            ["reason"] if labelled else [],
            (([label] if labelled else [], count) for label, count in samples),
        )


def _sockets(state: State) -> Iterator[Metric]:
    workers = state.stats.get("workers", ())
    for name, key, doc in (
        ("udp_packets", "datagrams_received", "Datagrams received."),
        ("udp_bytes", "octets_received", "Their UDP payload, in octets."),
        (
            "udp_kernel_drops",
            "kernel_drops",
            "Datagrams, or whole trains of them, that the kernel dropped because the receive buffer was full.",
        ),
        ("udp_errors", "receive_errors", "Errors of the socket other than a timeout."),
    ):
        yield _counter(name, doc, ["listener", "worker"], (([each["uri"], str(each["worker"])], each[key]) for each in workers))
    for name, key, doc in (
        ("udp_rcvbuf_bytes", "rcvbuf_granted", "Receive buffer that the kernel granted each socket, in the unit of net.core.rmem_max."),
        ("udp_rcvbuf_requested_bytes", "rcvbuf_requested", "Receive buffer asked for."),
    ):
        yield _gauge(name, doc, ["listener"], (([each["uri"]], each[key]) for each in state.listeners))


def _queues(state: State) -> Iterator[Metric]:
    """Depths in the unit of each stage: flushes from the workers, rows before a target."""
    depth, capacity = (state.stats.get(name, 0) for name in ("queue_depth", "queue_capacity"))
    dropped = state.stats.get("records_dropped", {}).get("queue_full", 0)
    targets = [(f"sink {runner.account.target}", runner) for runner in state.runners]
    yield _gauge(
        "queue_depth",
        "What waits: flushes of the workers (stage `decoded`), rows before a target (stage `sink ...`).",
        ["stage"],
        [(["decoded"], depth), *(([stage], runner.rows_waiting) for stage, runner in targets)],
    )
    yield _gauge(
        "queue_capacity",
        "How much may wait, in the same units.",
        ["stage"],
        [(["decoded"], capacity), *(([stage], runner.queue_rows) for stage, runner in targets)],
    )
    yield _counter(
        "queue_dropped",
        "Rows that found the queue full.",
        ["stage"],
        [(["decoded"], dropped), *(([stage], runner.account.records_dropped) for stage, runner in targets)],
    )


def _sinks(runners: Sequence[SinkRunner]) -> Iterator[Metric]:
    accounts = [runner.account for runner in runners]
    for name, key, doc in (
        ("sink_rows", "records_written", "Rows that are durable in the target."),
        ("sink_rows_handed", "records_handed", "Rows handed to the target: written, failed or in flight."),
        ("sink_rows_deferred", "records_deferred", "Rows that could not be written and that the journal gives again."),
        ("sink_bytes", "octets_written", "Octets that they take there."),
        ("sink_files", "files_written", "Files committed."),
        ("sink_errors", "errors", "Faults of the target."),
        ("sink_retries", "retries", "Faults after which the same rows were tried again."),
    ):
        yield _counter(name, doc, ["sink"], (([account.target], getattr(account, key)) for account in accounts))
    yield _counter(
        "sink_rows_failed",
        "Rows that could not be written.",
        ["sink", "reason"],
        (([account.target, why], rows) for account in accounts for why, rows in dict(account.failed_by_reason).items()),
    )
    yield _gauge("sink_rows_in_flight", "Rows handed, and neither durable nor lost yet.", ["sink"], _of(accounts, "records_in_flight"))
    yield _gauge("sink_failing", "Whether the target refuses rows now.", ["sink"], _of(accounts, "failing"))
    latency = SummaryMetricFamily(
        "flowfast_sink_latency_seconds", "Time from the queue until the target has taken a batch.", labels=["sink"]
    )
    for runner in runners:
        latency.add_metric([runner.account.target], runner.events_taken, runner.seconds_writing)
    yield latency


def _of(accounts: Sequence[Any], name: str) -> Iterator[tuple[list[str], float]]:
    return (([account.target], getattr(account, name)) for account in accounts)


def _counter(name: str, doc: str, labels: list[str], samples: Iterable[tuple[list[str], float]]) -> Metric:
    return _filled(CounterMetricFamily(f"flowfast_{name}", doc, labels=labels), samples)


def _gauge(name: str, doc: str, labels: list[str], samples: Iterable[tuple[list[str], float]]) -> Metric:
    return _filled(GaugeMetricFamily(f"flowfast_{name}", doc, labels=labels), samples)


def _filled(family: Any, samples: Iterable[tuple[list[str], float]]) -> Metric:
    summed: dict[tuple[str, ...], float] = {}
    for labels, value in samples:
        summed[tuple(labels)] = summed.get(tuple(labels), 0) + value
    for key, total in summed.items():
        family.add_metric(list(key), total)
    return family  # type: ignore[no-any-return]
