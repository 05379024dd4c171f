"""A target that takes nothing and one that refuses half of what it is given, beside one that works: that one gets everything."""

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from prometheus_client.parser import text_string_to_metric_families
from support import FLOWFAST, collecting, environment
from trials import assert_balance, get, rows_in, sized, trial, wait_until, watching

from flowfast.commands.bench.sockets import socket_state
from flowfast.pipeline import QUEUE_ROWS

SECONDS = sized(3, 60)
RATE = int(os.environ.get("FLOWFAST_SLOW_RATE", sized("10000", "100000")))
"""Flow Records a second."""
ROW_OCTETS = 256
"""What a row that waits takes at most, of the columns that are asked for here."""
WORKING_MIB = 256
"""What a target that works may take beside its queue: rows that are being encoded, and a row group that is being gathered."""
COLUMNS = "minimal"


@contextmanager
def refusing_half(root: Path, every_s: float):
    """Have a file stand in the place of a target's directory of unfinished files for every other moment."""
    directory, aside = root / ".incomplete", root / "aside"
    ending = threading.Event()

    def alternate() -> None:
        while not ending.wait(every_s):
            directory.rename(aside)
            directory.touch()
            ending.wait(every_s)
            directory.unlink()
            aside.rename(directory)

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def lines_of(stream, counts: list[int]) -> None:
    """Count the lines of a stream to its end."""
    counts.append(sum(1 for _ in stream))


def failed_by_reason(address: str, target: str) -> dict[str, int]:
    """Rows that a target lost, as the metrics have them."""
    families = text_string_to_metric_families(get(address, "/metrics")[1].decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "flowfast_sink_rows_failed_total"]
    return {sample.labels["reason"]: int(sample.value) for sample in samples if sample.labels["sink"] == target}


@trial
def test_slow_and_failing_targets_cost_the_others_nothing(tmp_path, figures):
    good, half = tmp_path / "good", tmp_path / "half"
    targets = (f"parquet:{good}", "-", f"arrow:{half}")
    flags = [flag for target in targets for flag in ("--to", target)]
    flags += ["--listen", "udp://127.0.0.1:0", "--journal", "off", "--rotate", sized("1s", "5s"), "--columns", COLUMNS]
    lines: list[int] = []
    with collecting(*flags, "--http", "127.0.0.1:0") as running:
        address = running.wait_for("serving")["address"]
        port = running.wait_for("listening")["port"]
        for _ in targets:
            running.wait_for("writing")
        before_mib = 0.0
        with watching(running.process.pid, every_s=0.2, health=address) as watch, refusing_half(half, sized(0.4, 3)):
            before_mib = watch.look().rss_mib
            generate = [*FLOWFAST, "generate", "--to", f"udp://127.0.0.1:{port}", "--rate", str(RATE), "--count", str(RATE * SECONDS)]
            sent = json.loads(subprocess.run([*generate, "--single"], check=True, capture_output=True, env=environment()).stdout)["flows"]
            wait_until(lambda: socket_state(port).waiting_octets == 0)
            time.sleep(1.5)  # the last batch
        wait_until(lambda: get(address, "/readyz")[0] == 200)  # the one that failed is written again
        reasons = failed_by_reason(address, f"arrow:{half}")
        reader = threading.Thread(target=lines_of, args=(running.process.stdout, lines))
        reader.start()
        summary = running.stop()
        reader.join()
    assert_balance(summary, good)
    works, blocked, failing = summary["targets"]
    assert summary["counters"]["kernel_drops"] == 0
    assert summary["counters"]["records_decoded"] == sent == rows_in(good) == works["records_written"]
    assert blocked["records_handed"] + blocked["records_dropped"] == sent
    assert lines == [blocked["records_written"]] == [blocked["records_handed"]]
    assert failing["records_handed"] + failing["records_dropped"] == sent
    assert failing["retries"] > 0
    rows = sum(pa.ipc.open_file(path).read_all().num_rows for path in half.glob("flows/**/*.arrow"))
    assert 0 < rows == failing["records_written"]
    assert failing["records_failed"] == sum(reasons.values())
    assert {reason for reason, count in reasons.items() if count} <= {"no_directory"}
    figures(
        sent=sent,
        written_by_the_target_that_works=works["records_written"],
        blocked_target_dropped=blocked["records_dropped"],
        failing_target_dropped=failing["records_dropped"],
        failing_target_lost=failing["records_failed"],
        retries=failing["retries"],
        rss_mib_before=round(before_mib),
        rss_mib_peak=round(watch.peak_mib),
    )
    assert watch.healthy > 0
    assert not watch.complaints
    assert watch.peak_mib < before_mib + WORKING_MIB + 2 * QUEUE_ROWS * ROW_OCTETS / 2**20
