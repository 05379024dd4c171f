"""`flowfast bench collect`: what the whole way costs, from the socket to durable files."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flowfast.columns import flows_schema
from flowfast.commands.bench.processes import Process
from flowfast.commands.bench.receive import trial as receive_trial
from flowfast.commands.bench.report import figures, print_report, progress, scratch
from flowfast.commands.bench.sockets import POLL_S, free_port, wait_until_read
from flowfast.commands.bench.stream import COLLECT, Stream
from flowfast.errors import UsageError
from flowfast.uris import Target

_TABLE = (
    "target", "records", "ns_per_record", "floor_ns_per_record", "baseline_ns_per_record", "octets_per_record",
    "receive_percent", "decode_percent", "hand_on_percent", "write_percent", "end_percent", "peak_mib", "lost",
)  # fmt: skip


def run(*, to: str, template: str, order: str, rate: int, seconds: float, runs: int, columns: Sequence[str], as_json: bool) -> int:
    """Collect to a target and, for the baseline, to `null:`; print the median run. Returns the exit code."""
    parent, target = _placed(Target.parse(to))
    flows_schema(columns)
    stream = Stream(template, order, trains=False, seconds=seconds)
    trials: dict[str, list[Trial]] = {"null:": [], target: []}
    floors = []
    with scratch(parent) as directory, progress() as status:
        for turn in range(runs):
            for each, done in trials.items():
                status.update(f"run {turn + 1} of {runs}: collect to {each}")
                done.append(trial(stream, rate, each, columns, directory))
            status.update(f"run {turn + 1} of {runs}: receive and count")
            counted = receive_trial(stream, rate, ["count"], directory)
            floors.append((counted["user_s"] + counted["system_s"]) / max(counted["datagrams"], 1))
    chosen = sorted(trials[target], key=lambda each: each.cpu_s)[(runs - 1) // 2]  # one run, so that its stages add up
    baseline_s = median(each.cpu_s / each.sent["flows"] for each in trials["null:"]) * chosen.sent["flows"]
    report = {"target": to} | summary(chosen, median(floors) * chosen.sent["datagrams"], baseline_s)
    load = {"template": template, "order": order, "kernel": "auto", "rate": rate, "seconds": seconds}
    print_report(load, [report], table=_TABLE, as_json=as_json)
    return 0


def _placed(target: Target) -> tuple[Path | None, str]:
    """Where the files of a benchmark may lie, and the target as it is called within. Raises UsageError."""
    match target.layout:
        case "stdout":
            raise UsageError("standard output is where the figures go", "measure `--to x.ndjson`")
        case "nowhere":
            return None, "null:"
        case "file":
            parent, name = target.path.parent, f"flows.{target.format}"
        case "directory":
            parent, name = target.path, f"{target.format}:flows"
    if not parent.is_dir():
        raise UsageError(f"{parent} is no directory", "make it first; what is written there is removed again")
    return parent, name


@dataclass(frozen=True)
class Trial:
    """What one run of `flowfast collect` got and used, from being ready on. `thread_s`: CPU time by stage, as far as threads tell."""

    sent: Mapping[str, int]
    target: Mapping[str, int]
    counters: Mapping[str, Any]
    octets: int
    cpu_s: float
    peak_octets: int
    thread_s: Mapping[str, float]


def trial(stream: Stream, rate: int, target: str, columns: Sequence[str], directory: Path) -> Trial:
    """One stream into `flowfast collect --to target`, in a directory of its own. Raises ProcessFailed."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        port = free_port()
        flags = ["--listen", f"udp://127.0.0.1:{port}", "--to", target, "--columns", ",".join(columns)]
        with Process([*COLLECT, *flags], Path(place), "log") as collector:
            collector.wait_until_ready(lambda: '"writing"' in collector.output)
            start_s, threads_at_start = collector.cpu_s(), collector.cpu_by_thread()
            sent = stream.send(port, rate, directory)
            wait_until_read(port)
            os.kill(collector.pid, signal.SIGTERM)
            threads = threads_at_start
            while not collector.has_ended:
                threads = threads | collector.cpu_by_thread()  # a thread's clock goes with it: its last reading counts
                time.sleep(POLL_S)
            usage = collector.wait()
            events = [json.loads(line) for line in collector.output.splitlines() if line.startswith("{")]
        told = next(event for event in reversed(events) if event["event"] == "summary")
        octets = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file() and path.name != "log")
        used = {thread: spent - threads_at_start.get(thread, 0) for thread, spent in threads.items()}
        return Trial(
            sent, told["targets"][0], told["counters"], octets, usage.cpu_s - start_s, usage.peak_octets, _by_stage(used, collector.pid)
        )


def _by_stage(used: Mapping[str, float], main_thread: int) -> dict[str, float]:
    """Workers receive and decode; the first thread hands batches on; the others write: a sink's, and those that its library starts."""
    stages = {"worker": 0.0, "hand_on": 0.0, "write": 0.0}
    for thread, spent in used.items():
        tid, _, name = thread.partition("/")
        stages["worker" if name.startswith("flowfast-") else "hand_on" if tid == str(main_thread) else "write"] += spent
    return stages


def summary(trial: Trial, floor_s: float, baseline_s: float) -> dict[str, Any]:
    """The figures of a run. `floor_s`: of all datagrams to receive and count them; `baseline_s`: of all records to `null:`."""
    written = trial.target["records_written"]
    shared = figures(records=written, cpu_s=trial.cpu_s, floor_s=floor_s, baseline_s=baseline_s, lost=trial.sent["flows"] - written)
    stages = {
        "receive": min(floor_s, trial.thread_s["worker"]),
        "decode": max(trial.thread_s["worker"] - floor_s, 0),
        "hand_on": trial.thread_s["hand_on"],
        "write": trial.thread_s["write"],
        "end": max(trial.cpu_s - sum(trial.thread_s.values()), 0),
    }
    return (
        shared
        | {f"{name}_percent": round(100 * spent / trial.cpu_s, 1) for name, spent in stages.items()}
        | {
            "octets_per_record": round(trial.octets / max(written, 1), 2) if trial.octets else None,
            "peak_mib": round(trial.peak_octets / 2**20),
            "kernel_drops": trial.counters.get("kernel_drops", 0),
            "records_dropped": trial.target["records_dropped"],
            "records_failed": trial.target["records_failed"],
        }
    )
