"""A flood at ten times the rate that the collector sustains: it answers, stays within its memory, and can say what became of everything."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pyarrow.parquet as pq
from support import collecting
from trials import assert_balance, counters_of, get, limited_to, rows_in, sized, trial, wait_until, watching

from flowfast.commands.bench.sockets import socket_state

SECONDS = float(os.environ.get("FLOWFAST_FLOOD_SECONDS", sized("3", "60")))
PROCESSORS = float(os.environ.get("FLOWFAST_FLOOD_PROCESSORS", sized("0", "0.3")))
"""Processor time that the collector is given, where the machine lets us: beside a sender that takes as much as it, no flood is ten times
what it sustains. 0: what there is."""
SOURCES = sized(2_000, 100_000)
MEMORY_MIB = sized(512, 4096)
"""The bound that docs/guides/operate.md states for the default limits and two workers; and for the short flood's smaller ones."""
NORMAL = 3
"""Exporters that behave."""
DOMAIN = 4_000_000_007
RECORDS = 10
TEMPLATE = struct.pack(">HHHHHHHH", 2, 16, 300, 2, 8, 4, 1, 8)
PUBLISHED_S = 1.0
"""Counters are published every tenth of a second, if the machine has time for it."""
LIMITS = """
[limits]
exporters = 1000
templates = 20_000
template-fields = 100_000
waiting = "4M"
options = "4M"
journal-state = "4M"
ledger-exporters = 1000
"""
"""Of the short flood, which shall reach them as well."""


class Normal(threading.Thread):
    """Exporters that send records, each with a number of its own in `bytes`, at a modest rate, and their template now and then."""

    def __init__(self, port: int, refresh_s: float) -> None:
        super().__init__(daemon=True)
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(NORMAL)]
        for number, each in enumerate(self._sockets):
            each.bind((f"127.0.1.{number + 1}", 0))
            each.connect(("127.0.0.1", port))
        self._refresh_s = refresh_s
        self._ending = threading.Event()
        self.sent = 0
        """Records of all of them."""
        self.datagrams = 0

    def run(self) -> None:
        refreshed_s = float("-inf")
        while not self._ending.wait(0.02):
            if time.monotonic() - refreshed_s > self._refresh_s:
                refreshed_s = time.monotonic()
                self.send_templates()
            self.send_records()

    def stop(self) -> None:
        self._ending.set()
        self.join()

    def send_templates(self) -> None:
        for each in self._sockets:
            self.datagrams += 1
            each.send(struct.pack(">HHIII", 10, 32, 1_790_000_000, 0, DOMAIN) + TEMPLATE)

    def send_records(self) -> None:
        for each in self._sockets:
            body = b"".join(struct.pack(">IQ", 0x0A000001, self.sent + number) for number in range(RECORDS))
            each.send(struct.pack(">HHIIIHH", 10, 20 + len(body), 1_790_000_000, self.sent, DOMAIN, 300, 4 + len(body)) + body)
            self.sent += RECORDS
            self.datagrams += 1

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def flood(port: int, seconds: float, rate: float, seed: int) -> dict[str, float]:
    """Send from a process of its own; what it sent."""
    command = [sys.executable, Path(__file__).with_name("flooding.py"), *map(str, (port, seconds, rate, SOURCES, seed))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=2 * seconds + 60).stdout)


def normal_records(out: Path) -> list[int]:
    """The numbers of the normal exporters' records in the output, sorted."""
    found: list[int] = []
    for path in out.glob("flows/**/*.parquet"):
        rows = pq.read_table(path, columns=["bytes"], partitioning=None, filters=[("observation_domain_id", "=", DOMAIN)])
        found += rows["bytes"].to_pylist()
    return sorted(found)


@trial
def test_a_flood_of_ten_times_what_is_sustained(tmp_path, figures):
    # FF-SEC-04, FF-RB-02, FF-RB-04.
    config, out = tmp_path / "flowfast.toml", tmp_path / "out"
    config.write_text(sized(LIMITS, ""))
    flags = ("--config", config, "--listen", "udp://127.0.0.1:0?count=2", "--to", f"parquet:{out}", "--rotate", sized("1s", "10s"))
    flags += ("--rcvbuf", sized("512K", "32M"))
    with collecting(*flags, "--http", "127.0.0.1:0") as running:
        address = running.wait_for("serving")["address"]
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        normal = Normal(port, refresh_s=sized(1, 20))
        pid = running.process.pid
        with (
            watching(pid, every_s=0.2, health=address) as watch,
            limited_to(PROCESSORS, pid) if PROCESSORS else nullcontext() as is_limited,
        ):
            normal.start()
            sustained = flood(port, sized(1, 10), 0, seed=1)
            rate = sustained["datagrams"] / sustained["seconds"]
            before_mib = watch.look().rss_mib
            flooded = flood(port, SECONDS, 10 * rate, seed=2)
            normal.stop()
            wait_until(lambda: socket_state(port).waiting_octets == 0)
            assert get(address, "/metrics")[0] == get(address, "/exporters")[0] == 200
            # What was lost in the flood was lost. Now: the templates are still there, or come with their next refresh.
            time.sleep(PUBLISHED_S)
            before, received = (counters_of(address)[name] for name in ("records_decoded", "datagrams_received"))
            normal.send_records()
            wait_until(lambda: counters_of(address)["datagrams_received"] == received + NORMAL)
            at_once = counters_of(address)["records_decoded"] - before
            after_refresh = normal.sent
            normal.send_templates()
            normal.send_records()
            wait_until(lambda: counters_of(address)["records_decoded"] >= before + at_once + NORMAL * RECORDS)
            normal.close()
            after_mib = watch.look().rss_mib
            socket_drops = socket_state(port).drops
        summary = running.stop()
        counters = summary["counters"]
    figures(
        processors_of_the_collector=PROCESSORS if is_limited else "all",
        sustained_datagrams_per_s=round(rate),
        offered_datagrams_per_s=round(flooded["datagrams"] / flooded["seconds"]),
        times_what_is_sustained=round(flooded["datagrams"] / flooded["seconds"] / rate, 1),
        datagrams_received=counters["datagrams_received"],
        kernel_drops=counters["kernel_drops"],
        exporters_evicted=counters["warnings"].get("exporter_evicted", 0),
        templates_new=counters["templates_new"],
        answers_of_healthz=watch.healthy,
        slowest_answer_s=round(watch.slowest_answer_s, 2),
        rss_mib_before=round(before_mib),
        rss_mib_peak=round(watch.peak_mib),
        rss_mib_after=round(after_mib),
        normal_records_decoded_before_their_template_came_again=f"{at_once} of {NORMAL * RECORDS}",
    )
    assert at_once >= sized(0, NORMAL * RECORDS), "templates of exporters that behave were forgotten"
    assert watch.healthy > 0
    assert not watch.complaints
    assert sustained["datagrams"] + flooded["datagrams"] + normal.datagrams == counters["datagrams_received"] + counters["kernel_drops"]
    assert counters["kernel_drops"] == socket_drops
    assert_balance(summary, out)
    assert rows_in(out) == summary["targets"][0]["records_written"] + summary["journal"]["records_recovered"]
    found = normal_records(out)
    assert len(found) == len(set(found))
    assert set(range(after_refresh, normal.sent)) <= set(found)
    assert after_mib < MEMORY_MIB
