"""Streams over loopback UDP into flowfast and nfcapd."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from collectors import Collector, Flowfast, Nfcapd, Trial, have_nfcapd
from measure import Failed, peak_mib, rounds, run
from report import Table
from sizes import Sizes
from traffic import FLOWFAST, IPFIX, V5, V9, Stream, write_pcap

SENDER = str(Path(__file__).parent / "traffic.py")
PYTHON = FLOWFAST[0]
# A collector that keeps up has little left to write when the stream ends.
KEEPS_UP_S = 1.5


def collect(sizes: Sizes, scratch: Path) -> Table:
    """`flowfast collect` under a steady stream."""
    table = Table(
        f"Collect: ipfix-25 over loopback UDP for {sizes.collect_s:g} s, one worker",
        [
            "flowfast collect --listen udp://127.0.0.1:0 --to parquet:DIR      # or --to null:",
            f"flowfast generate --to udp://127.0.0.1:PORT {' '.join(IPFIX.options)} --rate R --count {sizes.collect_s:g}*R",
        ],
        [
            "Start-up is the CPU time until the collector listens: it is in the figure `all`, not in the one beside it.",
            "`lost`: flows sent less rows written.",
        ],
    )
    collectors = [Flowfast("null:"), Flowfast("parquet")]
    trials = rounds(
        sizes.rounds,
        {
            (collector.name, rate): _collecting(collector, _generating(IPFIX, rate, sizes.collect_s, scratch), scratch)
            for rate in sizes.collect_rates
            for collector in collectors
        },
    )
    for (name, _), runs in trials.items():
        table.rows.append({"collector": name, "flows/s sent": round(median(_sent_per_s(trial) for trial in runs)), **_costs(runs)})
    return table


def highest_rate(sizes: Sizes, scratch: Path) -> Table:
    """The highest rate of a ladder that is kept up with, by bisection."""
    table = Table(
        "Collect: the highest rate without loss",
        [
            "flowfast collect --listen udp://127.0.0.1:0 --to parquet:DIR      # or --to null:",
            f"flowfast generate --to udp://127.0.0.1:PORT {' '.join(IPFIX.options)} --rate R --count {sizes.search_s:g}*R",
        ],
        [
            f"By bisection over {', '.join(f'{rate / 1e6:g}' for rate in sizes.search_rates)} M flows/s, {sizes.search_s:g} s each.",
            f"A rate is sustained if no flow is lost and all is written, files closed, within {KEEPS_UP_S:g} s of the end of the stream.",
            "`written`: rows by the time from the first datagram until then. The generator shares the processors with the collector.",
        ],
    )
    for collector in (Flowfast("null:"), Flowfast("parquet")):
        passed, tried = _bisect(collector, sizes, scratch)
        above = [rate for rate in sizes.search_rates if passed is None or rate > passed]
        table.rows.append(
            {
                "collector": collector.name,
                "sustained, M flows/s": passed / 1e6 if passed else 0.0,
                "written, M flows/s": _written_per_s(tried[passed]) / 1e6 if passed else None,
                "not sustained, M flows/s": above[0] / 1e6 if above else None,
                "lost there": _lost(tried[above[0]]) if above else None,
                "kernel drops there": tried[above[0]].stored.kernel_drops if above else None,
            }
        )
    return table


def compare(sizes: Sizes, scratch: Path) -> Table:
    """The same datagrams into flowfast and into nfcapd."""
    seconds = sizes.compare_flows / sizes.compare_rate
    table = Table(
        f"flowfast and nfcapd: {sizes.compare_flows:,} flows at {sizes.compare_rate:,} flows/s",
        [
            f"flowfast generate --write compare.pcap {' '.join(IPFIX.options)} --count {sizes.compare_flows}",
            "flowfast collect --listen udp://127.0.0.1:0 --to parquet:DIR      # or --to null:",
            "nfcapd -w DIR -p PORT -b 127.0.0.1 -t 3600 -B 33554432            # with -y: LZ4; then nfdump -I -r FILE",
            f"python bench/traffic.py compare.pcap 127.0.0.1 PORT --seconds {seconds:g}   # `single`: a system call a datagram",
            f"flowfast generate --to udp://127.0.0.1:PORT ... --rate {sizes.compare_rate}       # `trains`: UDP_SEGMENT",
        ],
        [
            "`lost`: flows sent less flows stored, as flowfast's rows and as nfdump counts them. Where nothing is lost, the sums of",
            "octets over all flows were compared with what was sent, too, and agree (the run fails otherwise).",
            "Start-up is the CPU time until the collector listens: it is in the figure `all`, not in the one beside it.",
        ],
    )
    if not have_nfcapd():
        table.notes = ["Skipped: nfcapd and nfdump are not installed (Debian: `apt install nfdump`)."]
        return table
    collectors: list[Collector] = [Nfcapd(), Nfcapd("-y"), Flowfast("parquet"), Flowfast("null:")]
    for stream, sending in ((V5, "single"), (V9, "single"), (IPFIX, "single"), (IPFIX, "trains")):
        if sending == "single":
            sent = write_pcap(stream, sizes.compare_flows, scratch, "compare.pcap")
            send = _replaying("compare.pcap", sent, seconds, scratch)
        else:
            send = _generating(stream, sizes.compare_rate, seconds, scratch)
        trials = rounds(sizes.rounds, {collector.name: _collecting(collector, send, scratch) for collector in collectors})
        baseline = _cpu_s_per_flow(trials["nfcapd"])
        for name, runs in trials.items():
            costs = _costs(runs)
            ratio = _cpu_s_per_flow(runs) / baseline
            table.rows.append({"stream": f"{stream.name}, {sending}", "collector": name, **costs, "CPU to nfcapd": ratio})
    return table


def _generating(stream: Stream, rate: int, seconds: float, scratch: Path) -> Callable[[int], dict]:
    """Sends trains of datagrams, by `flowfast generate`."""

    def send(port: int) -> dict:
        flows = ["--rate", str(rate), "--count", str(int(rate * seconds))]
        return json.loads(run([*FLOWFAST, "generate", "--to", f"udp://127.0.0.1:{port}", *stream.options, *flows], scratch)[1])

    return send


def _replaying(pcap: str, contents: dict, seconds: float, scratch: Path) -> Callable[[int], dict]:
    """Sends a capture a datagram at a time, by `bench/traffic.py`."""

    def send(port: int) -> dict:
        command = [PYTHON, SENDER, pcap, "127.0.0.1", str(port), "--seconds", str(seconds)]
        return contents | json.loads(run(command, scratch)[1])

    return send


def _collecting(collector: Collector, send: Callable[[int], dict], scratch: Path) -> Callable[[], Trial]:
    def measure() -> Trial:
        trial = collector.collect(scratch, send)
        if _lost(trial) == 0 and trial.stored.octets not in (None, trial.sent["octets"]):
            raise Failed(f"{collector.name} has all flows, but {trial.stored.octets:,} octets of {trial.sent['octets']:,}")
        return trial

    return measure


def _costs(trials: Sequence[Trial]) -> dict[str, int | float | None]:
    flows = trials[0].sent["flows"]
    drops = [trial.stored.kernel_drops for trial in trials if trial.stored.kernel_drops is not None]
    return {
        "ns CPU per flow, all": median(trial.usage.cpu_s for trial in trials) * 1e9 / flows,
        "ns CPU per flow": _cpu_s_per_flow(trials) * 1e9,
        "start-up s": median(trial.start_up_s for trial in trials),
        "user s": median(trial.usage.user_s for trial in trials),
        "sys s": median(trial.usage.sys_s for trial in trials),
        "peak MiB": peak_mib([trial.usage for trial in trials]),
        "octets per flow": (median(trial.stored.file_octets for trial in trials) / flows) or None,
        "lost": max(_lost(trial) for trial in trials),
        "kernel drops": max(drops) if drops else None,
    }


def _cpu_s_per_flow(trials: Sequence[Trial]) -> float:
    """From being ready to the end."""
    return median(trial.usage.cpu_s - trial.start_up_s for trial in trials) / trials[0].sent["flows"]


def _lost(trial: Trial) -> int:
    return trial.sent["flows"] - trial.stored.flows


def _sent_per_s(trial: Trial) -> float:
    return trial.sent["flows"] / trial.sent["elapsed_ns"] * 1e9


def _written_per_s(trial: Trial) -> float:
    """Rows a second from the first datagram until everything is written."""
    return trial.stored.flows / (trial.sent["elapsed_ns"] / 1e9 + trial.drain_s)


def _bisect(collector: Collector, sizes: Sizes, scratch: Path) -> tuple[int | None, dict[int, Trial]]:
    """The highest sustained rate, None if there is none, and the last trial of each rate that was tried."""
    rates, tried = sizes.search_rates, {}
    low, high = -1, len(rates)
    while high - low > 1:
        middle = (low + high) // 2
        rate = rates[middle]
        if all(_is_sustained(rate, tried) for _ in _attempts(collector, rate, sizes, scratch, tried)):
            low = middle
        else:
            high = middle
    return (rates[low] if low >= 0 else None), tried


def _attempts(collector: Collector, rate: int, sizes: Sizes, scratch: Path, tried: dict[int, Trial]) -> Iterator[None]:
    """As many trials as there are rounds, two at most: a rate passes if all do."""
    for _ in range(min(sizes.rounds, 2)):
        tried[rate] = collector.collect(scratch, _generating(IPFIX, rate, sizes.search_s, scratch), settle_s=0)
        yield


def _is_sustained(rate: int, tried: dict[int, Trial]) -> bool:
    return _lost(tried[rate]) == 0 and tried[rate].drain_s <= KEEPS_UP_S
