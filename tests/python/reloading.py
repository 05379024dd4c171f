"""A collector that is reloaded again and again under load: what the ordinary test does ten times and `make soak` a hundred times."""

import itertools
import os
import signal
import threading
import time
from pathlib import Path

import duckdb
from support import IPFIX_TEMPLATE, collecting, ipfix_data, send

RECORDS = 20
"""Flow Records in a datagram."""


def settings(directory: Path, targets: list[str], journal: str = "off", **more: str) -> str:
    """A configuration that listens on a free port."""
    to = [f"{target}:{directory}/{target}" if target != "null" else "null:" for target in targets]
    lines = ['listen = ["udp://127.0.0.1:0"]', f"journal = '{journal}'", f"to = {to!r}"]
    return "[collect]\n" + "\n".join([*lines, *(f"{name} = {value!r}" for name, value in more.items())]) + "\n"


def reload_under_load(directory: Path, times: int, *, journal: str = "off") -> int:
    """Change targets, rotation and what happens when full, and rotate, while flows come; then assert that each is there once. Gives how
    many came.

    With a journal the rotating targets stay the same: its segments are decoded into these. The template is sent once, before the first
    reload: every datagram after it depends on what the decoder remembers.
    """
    file = directory / "flowfast.toml"
    one, other = ("arrow", "ndjson") if journal == "off" else ("null", "null")
    file.write_text(settings(directory, ["parquet", other], journal, rotate="60s"))
    variants = itertools.cycle(
        [
            settings(directory, ["parquet", one], journal, rotate="5m"),
            settings(directory, [one, "parquet"], journal, rotate="1s", **{"when-full": "block"}),
            settings(directory, ["parquet"], journal, rotate="60s"),
            "[collect]\nrotate = 'nonsense'\n",
            settings(directory, ["parquet", other], journal, rotate="60s", columns="minimal"),
        ]
    )
    sent = itertools.count()
    done = threading.Event()
    with collecting("-c", file) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.wait_for("writing")
        send(port, [IPFIX_TEMPLATE])

        def load() -> None:
            while not done.is_set():
                send(port, [ipfix_data(RECORDS, sequence=RECORDS * next(sent)) for _ in range(5)])
                time.sleep(0.002)

        loader = threading.Thread(target=load)
        loader.start()
        try:
            for turn, variant in zip(range(times), variants, strict=False):
                file.write_text(variant)
                running.process.send_signal(signal.SIGHUP)
                outcome = running.wait_for("reload_refused" if "nonsense" in variant else "reloaded")
                if "columns" in variant:
                    assert any(entry["event"] == "setting_needs_restart" and entry["setting"] == "columns" for entry in running.log)
                assert outcome["level"] == ("warning" if "nonsense" in variant else "info")
                if turn % 3 == 0:
                    os.kill(running.process.pid, signal.SIGUSR1)
                    running.wait_for("rotating")
        finally:
            done.set()
            loader.join()
        summary = running.stop()
    expected = RECORDS * next(sent)
    counters = summary["counters"]
    assert counters["records_decoded"] == expected
    assert counters["sets_waiting"] == 0
    assert counters.get("sets_discarded", {}) == {}
    assert counters["sequence_lost_records"] == counters["kernel_drops"] == 0
    # `parquet` was a target all the time.
    found = duckdb.sql(f"select count(*), count(distinct sequence_num) from '{directory}/parquet/flows/**/*.parquet'").fetchall()
    assert found == [(expected, expected // RECORDS)]
    assert not list(directory.rglob("*.tmp"))
    assert not list(directory.rglob("journal/*-*-*-*.pcap"))  # every segment has been committed
    return expected
