"""What exporters send while no collector runs is told by their sequence numbers, to the record."""

import json
import shlex
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support import FLOWFAST, IPFIX_TEMPLATE, collecting, environment, ipfix_data, netflow5, pcap, run
from test_journal import free_port, packets

RECORDS = 10


def netflow9(sequence: int) -> bytes:
    """A packet with a template."""
    return struct.pack(">HHIIII", 9, 1, 60_000 + sequence, 1_790_000_000, sequence, 5) + struct.pack(">HHHHHH", 0, 12, 256, 1, 1, 4)


def sflow(sequence: int) -> bytes:
    """A datagram without a sample."""
    return struct.pack(">II4sIIII", 5, 1, bytes([192, 0, 2, 77]), 3, sequence, 60_000 + sequence, 0)


class Exporters:
    """Four exporters, one a format, each with a sequence of its own, on sockets that stay."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for number, each in enumerate(self._sockets, 1):
            each.bind((f"127.0.0.{number}", 0))
        self.turns = 0

    def send(self, turns: int) -> None:
        """So many datagrams of each."""
        for turn in range(self.turns, self.turns + turns):
            for datagram in (netflow5(RECORDS, sequence=RECORDS * turn), netflow9(turn)):
                self._sockets[0].sendto(datagram, ("127.0.0.1", self._port))
            for datagram in (ipfix_data(RECORDS, sequence=RECORDS * turn), sflow(turn)):
                self._sockets[1].sendto(datagram, ("127.0.0.1", self._port))
        self.turns += turns

    def send_template(self) -> None:
        self._sockets[1].sendto(IPFIX_TEMPLATE, ("127.0.0.1", self._port))

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_what_is_sent_while_down_is_counted_apart_from_loss(how, tmp_path):
    # FF-SQ-04: what was lost, exactly; and by whom.
    port, out = free_port(), tmp_path / "out"
    flags = ("--listen", f"udp://127.0.0.1:{port}", "--to", f"parquet:{out}", "--rotate", "1h")
    exporters = Exporters(port)
    with collecting(*flags) as running:
        running.wait_for("writing")
        exporters.send_template()
        exporters.send(5)
        deadline = time.monotonic() + 20
        while sum(len(packets(path)) for path in (out / "journal").glob("[0-9]*.pcap")) < 1 + 4 * exporters.turns:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if how == "killed":
            running.process.kill()
            running.process.wait()
        else:
            running.stop()
    exporters.send(7)
    with collecting(*flags) as running:
        resumed = running.wait_for("resumed")
        assert 0 < resumed["down_s"] < 3600
        running.wait_for("writing")
        exporters.send(3)
        assert running.wait_for("missed_while_down")["level"] == "warning"
        counters = running.stop()["counters"]
    assert (counters["collector_down_records"], counters["collector_down_packets"]) == (2 * 7 * RECORDS, 2 * 7)
    assert counters["sequence_lost_records"] == counters["sequence_lost_packets"] == 0
    assert counters["records_decoded"] == 2 * 3 * RECORDS
    # A restart that misses nothing, and a loss of the network after it.
    with collecting(*flags) as running:
        running.wait_for("resumed")
        running.wait_for("writing")
        exporters.send(2)
        exporters.turns += 4
        exporters.send(1)
        time.sleep(0.2)
        counters = running.stop()["counters"]
    assert counters["collector_down_records"] == counters["collector_down_packets"] == 0
    assert (counters["sequence_lost_records"], counters["sequence_lost_packets"]) == (2 * 4 * RECORDS, 2 * 4)
    exporters.close()
    # The ledger tells both, of each exporter.
    told = json.loads(run("ledger", out, "--json").stdout)
    assert told["balances"] is True
    by_reason = {each["reason"]: each["count"] for each in told["losses"] if each["counter"] == "sequence_lost"}
    assert by_reason == {"collector_down": 2 * 7 * RECORDS + 2 * 7, "network": 2 * 4 * RECORDS + 2 * 4}
    for exporter in told["exporters"]:
        unit = "packets" if exporter["format"] in ("netflow_v9", "sflow_v5") else "records"
        assert exporter["counters"][f"collector_down_{unit}"] == 7 * (RECORDS if unit == "records" else 1)
    assert "140 records and 14 packets sent while no collector ran" in run("ledger", out).stdout


def test_the_commands_of_the_recovery_guide(tmp_path):
    guide = Path(__file__).parents[2] / "docs/guides/recover.md"
    lines = [line.strip() for block in guide.read_text().split("```\n")[1::2] for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("flowfast ") and "doctor" not in line]
    assert len(commands) == 3
    port, out = free_port(), tmp_path / "out"
    flags = ("--listen", f"udp://127.0.0.1:{port}", "--to", f"parquet:{out}", "--rotate", "1h")
    exporters = Exporters(port)
    for stops in (True, False):
        with collecting(*flags) as running:
            running.wait_for("writing")
            exporters.send_template()
            exporters.send(2)
            deadline = time.monotonic() + 20
            while sum(len(packets(path)) for path in (out / "journal").glob("[0-9]*.pcap")) < 1 + 4 * 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            if stops:
                running.stop()
    for command in commands:
        line = shlex.join(FLOWFAST) + command.removeprefix("flowfast").replace("/var/lib/flowfast", str(out))
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    # Without receiving anything, elsewhere.
    (alone,) = [line.strip() for line in guide.read_text().splitlines() if line.startswith("    flowfast collect ")]
    moved = out.rename(tmp_path / "moved")
    with collecting(*shlex.split(alone.replace("/var/lib/flowfast", str(moved)))[2:]) as running:
        assert running.wait_for("recovered")["records"] == 2 * 2 * RECORDS
        running.stop()
    assert sum(pq.read_metadata(path).num_rows for path in moved.glob("flows/**/*.parquet")) == 2 * 2 * 2 * RECORDS
    exporters.close()


def test_a_journal_that_was_asked_for_and_cannot_be(tmp_path):
    for flags, setting in ((("--journal-dir", tmp_path), "journal-dir"), (("--journal", "keep"), "journal")):
        with collecting("--listen", "udp://127.0.0.1:0", "--to", "null:", *flags) as running:
            warning = running.wait_for("setting_without_effect")
            assert (warning["level"], warning["setting"]) == ("warning", setting)
            running.process.send_signal(signal.SIGTERM)


def test_what_the_journal_gives_again_is_decoded_within_the_same_limits(tmp_path):
    # A template is an hour older than its data: by default that is too old.
    segments = {}
    for lifetime, records in ((0, RECORDS), (1800, 0)):
        out = tmp_path / f"{lifetime}"
        (out / "journal").mkdir(parents=True)
        segments[lifetime] = out / "journal/1790000000-0-0badcafe-0.pcap"
        segments[lifetime].write_bytes(pcap([IPFIX_TEMPLATE, ipfix_data(RECORDS)], step_s=3600))
        limits = {"FLOWFAST_CFG_LIMITS_TEMPLATE_LIFETIME": str(lifetime)}
        with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", env=limits) as running:
            assert running.wait_for("recovered")["records"] == records
            running.stop()
