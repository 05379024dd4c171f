"""The receiving process of `flowfast bench receive`: `python -m flowfast.commands.bench.receiver decode|count [COLUMNS]`.

It writes its port as a JSON line, receives until its standard input ends, and writes what came and the CPU time that it took.
"""

import json
import resource
import sys
import threading
from collections.abc import Callable

from flowfast import _core
from flowfast.counters import total
from flowfast.pipeline import POLL_S


def decode(columns: list[str]) -> dict[str, float]:
    """Into Arrow batches, forgotten at once."""
    collector = _core.Collector([("127.0.0.1", 0, 1, "any")], columns=columns)
    _announce(collector.listeners()[0]["port"], collector.stop)
    started = resource.getrusage(resource.RUSAGE_SELF)
    collector.start()
    while not collector.finished:
        collector.next_event(POLL_S)
    ended = resource.getrusage(resource.RUSAGE_SELF)
    stats = collector.stats()
    counters = ("datagrams_received", "datagrams_discarded", "records_decoded", "records_dropped", "kernel_drops", "trains_received")
    return {name: total(stats, name) for name in counters} | _spent(started, ended)


def count() -> dict[str, float]:
    """Datagrams only."""
    floor = _core.ReceiveFloor("127.0.0.1", 0)
    _announce(floor.port, floor.stop)
    started = resource.getrusage(resource.RUSAGE_SELF)
    received = floor.run()
    return received | _spent(started, resource.getrusage(resource.RUSAGE_SELF))


def _announce(port: int, stop: Callable[[], None]) -> None:
    print(json.dumps({"port": port}), flush=True)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stop()

    threading.Thread(target=wait_for_the_end, daemon=True).start()


def _spent(started: resource.struct_rusage, ended: resource.struct_rusage) -> dict[str, float]:
    return {"user_s": ended.ru_utime - started.ru_utime, "system_s": ended.ru_stime - started.ru_stime}


if __name__ == "__main__":
    print(json.dumps(decode(sys.argv[2:]) if sys.argv[1] == "decode" else count()))
