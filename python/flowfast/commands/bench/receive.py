"""`flowfast bench receive`: what receiving costs, of datagrams one by one and of trains of them."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowfast.columns import flows_schema
from flowfast.commands.bench.processes import Process
from flowfast.commands.bench.report import figures, medians, print_report, progress, scratch
from flowfast.commands.bench.stream import Stream

_RECEIVER = [sys.executable, "-m", "flowfast.commands.bench.receiver"]
_TABLE = (
    "trains", "records", "ns_per_record", "user_ns_per_record", "kernel_ns_per_record", "floor_ns_per_record",
    "floor_ns_per_datagram", "datagrams_per_reception", "lost", "kernel_drops",
)  # fmt: skip


def run(*, template: str, order: str, rate: int, seconds: float, runs: int, columns: Sequence[str], as_json: bool) -> int:
    """Receive into Arrow and, for the floor, receive and count, with and without trains; print medians. Returns the exit code."""
    flows_schema(columns)  # or the receiver would end over a column that there is not
    variants = [(trains, mode) for trains in (False, True) for mode in ("count", "decode")]
    rounds: dict[tuple[bool, str], list[dict[str, float]]] = {variant: [] for variant in variants}
    with scratch() as directory, progress() as status:
        for turn in range(runs):
            for trains, mode in variants:
                status.update(f"run {turn + 1} of {runs}: {mode}, {'trains' if trains else 'single datagrams'}")
                stream = Stream(template, order, trains, seconds)
                rounds[trains, mode].append(trial(stream, rate, [mode, *columns], directory))
    reports = [
        {"trains": trains} | summary(medians(rounds[trains, "decode"]), medians(rounds[trains, "count"])) for trains in (False, True)
    ]
    load = {"template": template, "order": order, "kernel": "auto", "rate": rate, "seconds": seconds}
    print_report(load, reports, table=_TABLE, as_json=as_json)
    return 0


def trial(stream: Stream, rate: int, arguments: Sequence[str], directory: Path) -> dict[str, float]:
    """One stream into one receiver, each in a process of its own; what was sent, what came, and the receiver's CPU time."""
    with Process([*_RECEIVER, *arguments], directory, "receiver.log") as receiver:
        receiver.wait_until_ready(lambda: "\n" in receiver.output)
        port = json.loads(receiver.output.splitlines()[0])["port"]
        sent = stream.send(port, rate, directory)
        receiver.end_input()
        receiver.wait()
        received: dict[str, float] = json.loads(receiver.output.splitlines()[-1])
    return received | {"flows_sent": sent["flows"], "datagrams_sent": sent["datagrams"], "sending_s": sent["elapsed_ns"] / 1e9}


def summary(decoding: Mapping[str, float], counting: Mapping[str, float]) -> dict[str, Any]:
    """The figures of one way of sending, losses by cause among them. The floor is scaled to the flows of its own run."""
    flows = round(decoding["flows_sent"])
    records = round(decoding["records_decoded"])
    floor_s = counting["user_s"] + counting["system_s"]
    floor_s_per_flow = floor_s * counting["datagrams_sent"] / max(counting["datagrams"], 1) / counting["flows_sent"]
    shared = figures(
        records=records,
        cpu_s=decoding["user_s"] + decoding["system_s"],
        floor_s=floor_s_per_flow * records,
        baseline_s=None,
        lost=flows - records + round(decoding["records_dropped"]),
    )
    return shared | {
        "user_ns_per_record": round(decoding["user_s"] * 1e9 / max(records, 1), 2),
        "kernel_ns_per_record": round(decoding["system_s"] * 1e9 / max(records, 1), 2),
        "floor_ns_per_datagram": round(floor_s * 1e9 / max(counting["datagrams"], 1), 1),
        "datagrams_per_reception": round(decoding["datagrams_received"] / max(decoding["trains_received"], 1), 1),
        "records_sent_per_second": round(flows / decoding["sending_s"]),
        "datagrams_sent": round(decoding["datagrams_sent"]),
        "datagrams_received": round(decoding["datagrams_received"]),
        "datagrams_discarded": round(decoding["datagrams_discarded"]),
        "kernel_drops": round(decoding["kernel_drops"]),
        "records_dropped": round(decoding["records_dropped"]),
    }
