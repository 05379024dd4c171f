"""What ails a collector, and what mends each of it. Pure: facts in, findings out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from flowfast.counters import REFUSED
from flowfast.escape import printable
from flowfast.units import format_count, format_octets, plural

LOST_SHARE = 0.001
"""Sequence gaps are a finding from this share of what the exporter sent."""
SKEW_S = 10.0
"""An exporter whose clock differs from ours by more has a wrong one: export and transport take about a second."""

Exporter = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`problem`), or that may well be as it should (`note`)."""

    kind: str
    severity: Literal["problem", "note"]
    about: str
    """The listener, exporter, target or setting that it is about."""
    message: str
    mend: Sequence[str] = ()
    """Settings and commands that mend it, one a line: of this machine, or of the router."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Machine:
    """What this machine's kernel says."""

    rmem_max: int | None = None
    """net.core.rmem_max, octets."""
    backlog: int | None = None
    """net.core.netdev_max_backlog, packets."""
    udp_buffer_errors: int | None = None
    """Datagrams that the kernel has dropped at any socket since it was started."""


@dataclass(frozen=True)
class Facts:
    """What a running collector says of itself, as its pages `/stats` and `/exporters` have it; empty if none runs."""

    counters: Mapping[str, Any] = field(default_factory=dict)
    listeners: Sequence[Mapping[str, Any]] = ()
    targets: Sequence[Mapping[str, Any]] = ()
    exporters: Sequence[Exporter] = ()


def examine_machine(machine: Machine, rcvbuf: int) -> Iterator[Finding]:
    """Whether this machine suits a collector that asks for `rcvbuf` octets a socket."""
    if machine.rmem_max is not None and machine.rmem_max < rcvbuf:
        yield Finding(
            "receive_buffer",
            "problem",
            "net.core.rmem_max",
            f"without CAP_NET_ADMIN a socket gets {format_octets(machine.rmem_max)} of receive buffer at most, "
            f"flowfast asks for {format_octets(rcvbuf)}",
            _sysctl("net.core.rmem_max", rcvbuf),
        )
    if machine.backlog is not None and machine.backlog <= 1000:
        yield Finding(
            "backlog",
            "note",
            "net.core.netdev_max_backlog",
            f"{machine.backlog:,} packets a core may wait between network card and sockets, which is less than a burst",
            _sysctl("net.core.netdev_max_backlog", 10_000),
        )
    if machine.udp_buffer_errors:
        yield Finding(
            "udp_buffer_errors",
            "note",
            "this machine",
            f"{plural(machine.udp_buffer_errors, 'datagram')} dropped at full receive buffers, of any program, since it was started",
            ("`ss -lunpm` shows the sockets, `d` in `skmem` is what each has dropped",),
        )


def examine(facts: Facts) -> Iterator[Finding]:
    """What ails a running collector: the machine, its targets, then the exporters one by one."""
    yield from _buffers(facts)
    yield from _queue(facts.counters)
    yield from _targets(facts.targets)
    yield from _discards(facts.counters)
    yield from _given_up(facts.counters)
    for exporter in sorted(facts.exporters, key=lambda each: (each["exporter"], each["domain"])):
        for examine_one in (_clock, _missing_templates, _conflicting_templates, _sampling, _gaps):
            yield from examine_one(exporter)


def _sysctl(name: str, value: int) -> tuple[str, ...]:
    return (f"sysctl -w {name}={value}", f"echo '{name} = {value}' > /etc/sysctl.d/60-flowfast.conf")


def _buffers(facts: Facts) -> Iterator[Finding]:
    for listener in facts.listeners:
        granted, requested = listener["rcvbuf_granted"], listener["rcvbuf_requested"]
        if granted < requested:
            yield Finding(
                "receive_buffer",
                "problem",
                listener["uri"],
                f"the kernel granted {format_octets(granted)} of receive buffer of {format_octets(requested)} asked for",
                (*_sysctl("net.core.rmem_max", requested), "then restart flowfast, or let systemd bind the sockets (flowfast.socket)"),
            )
    for worker in facts.counters.get("workers", ()):
        if worker["kernel_drops"]:
            yield Finding(
                "kernel_drops",
                "problem",
                f"{worker['uri']} worker {worker['worker']}",
                f"its receive buffer was full: {format_count(worker['kernel_drops'])} datagrams, or whole trains of them, were dropped",
                (
                    'a larger buffer: sysctl -w net.core.rmem_max=134217728 and `rcvbuf = "128M"`',
                    "more `workers`, if there are several exporters and cores",
                ),
            )


def _queue(counters: Mapping[str, Any]) -> Iterator[Finding]:
    dropped = counters.get("records_dropped", {}).get("queue_full", 0)
    if dropped:
        yield Finding(
            "queue_full",
            "problem",
            "the queue to the targets",
            f"{plural(dropped, 'row')} dropped: Python took them more slowly than they came",
            ("fewer `columns`, fewer targets, or a machine whose cores have less else to do",),
        )


def _targets(targets: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for target in targets:
        if target.get("failing"):
            yield Finding(
                "target_failing",
                "problem",
                target["target"],
                f"cannot be written now; {plural(target['records_failed'], 'row')} lost in it so far",
                ("the log's `target_retrying` and `target_lost` lines say why; `df -h DIR` and `ls -ld DIR` show what there is",),
            )
        elif target["records_failed"]:
            yield Finding(
                "target_failed",
                "problem",
                target["target"],
                f"{plural(target['records_failed'], 'row')} were lost in it",
                ("the log's `target_lost` lines say why",),
            )
        if target["records_dropped"]:
            yield Finding(
                "target_slow",
                "problem",
                target["target"],
                f"{plural(target['records_dropped'], 'row')} dropped because it is slower than the flows",
                ('a faster disk, fewer `columns`, or `when-full = "block"` for short peaks',),
            )


def _discards(counters: Mapping[str, Any]) -> Iterator[Finding]:
    counted = {why: count for why, count in counters.get("datagrams_discarded", {}).items() if count}
    # What the access lists refuse is refused as it should be; what else the settings refuse may surprise.
    refused = {why: count for why, count in counted.items() if why in REFUSED and why != "acl"}
    if refused:
        yield Finding(
            "refused",
            "note",
            "datagrams",
            f"{plural(sum(refused.values()), 'datagram')} refused by `[limits]`: {_labelled(refused)}",
            ("if that is too strict: `datagrams-per-second`, `records-per-second`, `malformed-in-a-row`, then SIGHUP",),
        )
    discarded = {why: count for why, count in counted.items() if why not in REFUSED}
    if discarded:
        yield Finding(
            "discarded",
            "problem",
            "datagrams",
            f"{plural(sum(discarded.values()), 'datagram')} discarded: {_labelled(discarded)}",
            ("keep some: tcpdump -c 1000 -w bad.pcap udp port 2055; then `flowfast convert bad.pcap --to null:`",),
        )


def _labelled(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count:,}" for label, count in counts.items())


def _given_up(counters: Mapping[str, Any]) -> Iterator[Finding]:
    lost = {why: count for why, count in counters.get("sets_discarded", {}).items() if count}
    if lost:
        yield Finding(
            "sets_discarded",
            "problem",
            "data sets",
            f"{plural(sum(lost.values()), 'data set')} never decoded: {_labelled(lost)}",
            _REFRESH_TEMPLATES,
        )


_REFRESH_TEMPLATES = (
    "Cisco IOS: flow exporter NAME / template data timeout 60",
    "Junos: set services flow-monitoring version-ipfix template NAME template-refresh-rate seconds 60",
)


def _name(exporter: Exporter) -> str:
    return f"{printable(str(exporter['exporter']))} domain {exporter['domain']} ({exporter['format']})"


def _clock(exporter: Exporter) -> Iterator[Finding]:
    ahead_ms = exporter["clock_ahead_ms"]
    if ahead_ms is not None and abs(skew_s := ahead_ms / 1000) >= SKEW_S:
        yield Finding(
            "clock_skew",
            "problem",
            _name(exporter),
            f"its clock is {_duration(abs(skew_s))} {'ahead of' if skew_s > 0 else 'behind'} this machine's: times of flows are as wrong",
            ("Cisco IOS: ntp server ADDRESS", "Junos: set system ntp server ADDRESS", "this machine: timedatectl"),
        )


def _missing_templates(exporter: Exporter) -> Iterator[Finding]:
    waiting = exporter["sets_waiting"]
    if waiting:
        yield Finding(
            "template_missing",
            "problem",
            _name(exporter),
            f"no template for its data: {plural(waiting, 'data set')} waiting",
            _REFRESH_TEMPLATES,
        )


def _conflicting_templates(exporter: Exporter) -> Iterator[Finding]:
    redefined, ambiguous = exporter["templates_redefined"], exporter["sets_ambiguous"]
    if redefined or ambiguous:
        yield Finding(
            "template_conflict",
            "problem" if ambiguous else "note",
            _name(exporter),
            f"one template id with several meanings: redefined {redefined:,} times, {plural(ambiguous, 'data set')} that could be either",
            (
                "two exporting processes share an address and an Observation Domain: give each its own",
                "Cisco IOS: flow exporter NAME / source INTERFACE (another one for each exporter)",
                "Junos: set services flow-monitoring version-ipfix template NAME observation-domain-id ID",
            ),
        )


def _sampling(exporter: Exporter) -> Iterator[Finding]:
    if exporter["records"] and exporter["sampling_source"] == "none":
        yield Finding(
            "sampling_unknown",
            "note",
            _name(exporter),
            f"its {format_count(exporter['records'])} records tell no sampling rate: if it samples, octets and packets are too few",
            (
                "Cisco IOS: flow exporter NAME / option sampler-table timeout 60",
                "Junos: set services flow-monitoring version-ipfix template NAME option-refresh-rate seconds 60",
            ),
        )


def _gaps(exporter: Exporter) -> Iterator[Finding]:
    lost, unit = exporter["lost"], exporter["lost_unit"]
    sent = lost + (exporter["records"] if unit == "records" else exporter["datagrams"])
    if lost and lost >= LOST_SHARE * sent:
        yield Finding(
            "sequence_gaps",
            "problem",
            _name(exporter),
            f"{lost / sent:.2%} of what it sent did not arrive: {format_count(lost)} {unit} by its sequence numbers",
            (
                "this machine: `nstat -az UdpRcvbufErrors` and `ethtool -S DEVICE | grep -i drop`; if these stand still, it was the path",
                "Cisco IOS: show flow exporter statistics (drops before sending)",
                "Junos: show services accounting errors inline-jflow fpc-slot 0",
            ),
        )


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
