"""Half of what it can do, for a long time: nothing is lost, and nothing grows."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
from support import FLOWFAST, collecting, environment
from trials import Look, assert_balance, sized, trial, watching

SECONDS = int(os.environ.get("FLOWFAST_SOAK_SECONDS", sized("5", "1800")))
RATE = int(os.environ.get("FLOWFAST_SOAK_RATE", sized("4000", "0")))
"""Flow Records a second; 0: half of the highest rate without loss, which is measured first."""
EXPORTERS = 16
ROTATE_S = sized(1, 10)
WARM_UP = 0.25
"""The share of the time in which it may grow."""
GROWTH_MIB = sized(128, 32)
"""What it may take more, at the highest, after the warm-up than in it."""
GROWTH = 8
"""The same of file descriptors, of which a rotation has some open for moments, and of threads. One lost each time would be many more."""


def half_of_the_lossless_rate() -> int:
    """By `flowfast bench lossless`."""
    search = ["--target", "self --to parquet:flows --journal on --rotate 10s", "--seconds", "5", "--repeats", "1", "--resolution", "0.25"]
    done = subprocess.run([*FLOWFAST, "bench", "lossless", *search, "--json"], check=True, capture_output=True, env=environment())
    return json.loads(done.stdout)["lossless_records_per_second"] // 2


class Reaper(threading.Thread):
    """Counts the rows of files as they are committed, and removes these: half an hour of flows is more than a test should keep."""

    def __init__(self, out: Path) -> None:
        super().__init__(daemon=True)
        self.rows = self.files = 0
        self._out = out
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(1):
            self.take()

    def take(self) -> None:
        for path in self._out.glob("flows/**/*.parquet"):
            self.rows += pq.read_metadata(path).num_rows
            self.files += 1
            path.unlink()

    def stop(self) -> None:
        self._ending.set()
        self.join()
        self.take()


def highest(looks: list[Look]) -> tuple[float, int, int]:
    """Of memory, file descriptors and threads."""
    return tuple(max(getattr(look, name) for look in looks) for name in ("rss_mib", "descriptors", "threads"))


@trial
def test_half_the_lossless_rate_for_long_loses_nothing_and_grows_nowhere(tmp_path, figures):
    rate = RATE or half_of_the_lossless_rate()
    out = tmp_path / "out"
    with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", f"{ROTATE_S}s") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        reaper = Reaper(out)
        reaper.start()
        with watching(running.process.pid, every_s=sized(0.1, 2)) as watch:
            generate = [*FLOWFAST, "generate", "--to", f"udp://127.0.0.1:{port}", "--exporters", str(EXPORTERS)]
            generate += ["--single", "--rate", str(rate), "--count", str(rate * SECONDS)]
            begun_s = time.monotonic()
            sent = json.loads(subprocess.run(generate, check=True, capture_output=True, env=environment()).stdout)["flows"]
            ended_s = time.monotonic()
        summary = running.stop()
        reaper.stop()
    assert_balance(summary, out)
    counters = summary["counters"]
    assert sent == rate * SECONDS
    assert counters["records_decoded"] == sent == summary["targets"][0]["records_written"] == reaper.rows
    assert counters["kernel_drops"] == counters["datagrams_unjournaled"] == counters["sequence_lost_records"] == 0
    assert "datagrams_discarded" not in counters
    assert not list((out / "journal").glob("[0-9]*.pcap"))
    warm_s = begun_s + WARM_UP * (ended_s - begun_s)
    warming = highest([look for look in watch.looks if look.at_s < warm_s])
    after = highest([look for look in watch.looks if look.at_s >= warm_s])
    names = ("rss_mib", "descriptors", "threads")
    figures(
        rate=rate,
        sent_per_s=round(sent / (ended_s - begun_s)),
        seconds=round(ended_s - begun_s),
        records=sent,
        lost=sent - reaper.rows,
        files=reaper.files,
    )
    figures(**{f"{name}_at_most_while_warming_up": round(most) for name, most in zip(names, warming, strict=True)})
    figures(**{f"{name}_at_most_after_that": round(most) for name, most in zip(names, after, strict=True)})
    assert after[0] <= warming[0] + GROWTH_MIB
    assert after[1] <= warming[1] + GROWTH
    assert after[2] <= warming[2] + GROWTH
