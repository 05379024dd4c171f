"""What watching costs: CPU time per flow with ledger, metrics and journal on against off, in pairs.

    python bench/overhead.py [--rate 50000] [--seconds 4] [--pairs 9]

Every pair runs both variants one after the other, each a process of its own that gets the same stream; the median of the differences
within pairs counts, so that what else a machine does disturbs little. Metrics are asked for every second: what they cost is a matter of
that, not of flows, so it is told in milliseconds of CPU a second as well. The accounts behind the ledger are always kept:
`without_ledger.py` leaves out that rows are made and written of them. docs/benchmarks.md says how the accounts themselves are measured.
"""

import argparse
import http.client
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from flowfast.commands.bench.collectors import Flowfast
from flowfast.commands.bench.lossless import trial
from flowfast.commands.bench.report import grid, progress, scratch
from flowfast.commands.bench.stream import Stream

SCRAPE_S = 1.0


class Bare(Flowfast):
    """`flowfast collect` that tells no target what became of the flows: there is no setting for that."""

    def command(self, port: int, directory: Path) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("without_ledger.py")), *super().command(port, directory)[3:]]


class Scraped(Flowfast):
    """`flowfast collect` whose metrics are asked for."""

    def __init__(self, flags: Sequence[str]) -> None:
        super().__init__(flags)
        self._ending = threading.Event()

    def command(self, port: int, directory: Path) -> list[str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            http_port = probe.getsockname()[1]
        self._ending = threading.Event()
        threading.Thread(target=self._scrape, args=(http_port, self._ending), daemon=True).start()
        return [*super().command(port, directory), "--http", f"127.0.0.1:{http_port}"]

    def stop(self, pid: int, port: int) -> None:
        self._ending.set()
        super().stop(pid, port)

    @staticmethod
    def _scrape(port: int, ending: threading.Event) -> None:
        while not ending.wait(SCRAPE_S):
            with suppress(OSError):  # it starts
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/metrics")
                connection.getresponse().read()
                connection.close()


NULL = ("--to", "null:")
PARQUET = ("--to", "parquet:flows", "--rotate", "2s")
PAIRS = {
    "ledger, parquet": (Flowfast(PARQUET), Bare(PARQUET)),
    "metrics, null:": (Scraped(NULL), Flowfast(NULL)),
    "journal, parquet": (Flowfast((*PARQUET, "--journal", "on")), Flowfast(PARQUET)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=50_000, help="Flow Records a second")
    parser.add_argument("--seconds", type=float, default=4, help="how long each run sends")
    parser.add_argument("--pairs", type=int, default=9, help="runs of each variant")
    asked = parser.parse_args()
    stream = Stream("ipfix-25", "canonical", trains=False, seconds=asked.seconds)
    rows = []
    with scratch() as directory, progress() as status:
        for name, variants in PAIRS.items():
            spent: list[list[float]] = []
            for turn in range(asked.pairs):
                status.update(f"{name}: pair {turn + 1} of {asked.pairs}")
                order = (0, 1) if turn % 2 else (1, 0)
                both = {each: trial(variants[each], stream, asked.rate, directory) for each in order}
                if any(run.lost for run in both.values()):
                    raise SystemExit(f"error: {name}: flows were lost\nhint: choose a lower --rate")
                spent.append([both[each].cpu_s * 1e9 / both[each].sent["flows"] for each in (0, 1)])
            on, off = (median(pair[each] for pair in spent) for each in (0, 1))
            difference = median(pair[0] - pair[1] for pair in spent)
            rows.append(
                {
                    "what, to": name,
                    "on, ns per flow": on,
                    "off, ns per flow": off,
                    "median difference, ns": difference,
                    "of off, %": 100 * difference / off,
                    "ms CPU a second": difference * asked.rate / 1e6,
                }
            )
    print("\n".join(grid(rows)))


if __name__ == "__main__":
    main()
