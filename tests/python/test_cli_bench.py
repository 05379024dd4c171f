"""`flowfast bench`: every figure adds up and every loss is told. How fast it is, no test asks."""

import json
import shutil
import sys

import pytest
from support import run as flowfast

COMMON = {
    "template", "order", "kernel", "records", "cpu_seconds", "records_per_cpu_second", "ns_per_record",
    "floor_ns_per_record", "baseline_ns_per_record", "lost",
}  # fmt: skip
SHORT = ("--rate", "20000", "--seconds", "0.2")
FLOWS = 4000
COUNTING_COLLECTOR = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, open("octets", "wb", buffering=0) as file:
    sock.bind(("127.0.0.1", int(sys.argv[1])))
    while True:
        file.write(sock.recv(65536))
"""


def bench(*arguments: str) -> dict:
    done = flowfast("bench", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) >= COMMON
    return report


def test_receive_counts_what_was_sent_with_and_without_trains():
    report = bench("receive", *SHORT, "--runs", "1")
    assert [run["trains"] for run in report["runs"]] == [False, True]
    for run in report["runs"]:
        assert (run["records"], run["lost"], run["kernel_drops"]) == (FLOWS, 0, 0)
        assert run["datagrams_received"] == run["datagrams_sent"]
    assert report["runs"][0]["datagrams_per_reception"] == 1


def test_receive_prints_a_table_for_people():
    done = flowfast("bench", "receive", *SHORT, "--runs", "1", "--template", "v5")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert "floor ns per record" in done.stdout.splitlines()[0]


def test_collect_leaves_nothing_behind(tmp_path):
    report = bench("collect", *SHORT, "--runs", "1", "--to", f"parquet:{tmp_path}")
    assert (report["records"], report["lost"]) == (FLOWS, 0)
    assert report["octets_per_record"] > 1
    stages = ("receive", "decode", "hand_on", "write", "end")
    assert sum(report[f"{stage}_percent"] for stage in stages) == pytest.approx(100, abs=10)
    assert list(tmp_path.iterdir()) == []


def test_collect_wants_a_directory_that_is_there(tmp_path):
    done = flowfast("bench", "collect", "--to", f"parquet:{tmp_path}/absent")
    assert done.returncode == 2
    assert "is no directory" in done.stderr


def test_lossless_at_one_rate():
    report = bench("lossless", *SHORT, "--repeats", "1", "--target", "self")
    assert report["target"] == "flowfast --to null:"
    assert (report["records"], report["lost"]) == (FLOWS, 0)
    assert report["lossless_records_per_second"] > 0


@pytest.mark.skipif(shutil.which("nfcapd") is None, reason="nfcapd is not installed")
def test_lossless_counts_what_nfcapd_has():
    report = bench("lossless", *SHORT, "--repeats", "1", "--target", "nfcapd -y")
    assert (report["target"], report["records"], report["lost"]) == ("nfcapd -y", FLOWS, 0)


def test_lossless_tells_what_any_command_has_lost(tmp_path):
    collector, count = tmp_path / "collector.py", tmp_path / "count.py"
    collector.write_text(COUNTING_COLLECTOR)
    count.write_text(f"print({FLOWS} - 30)")
    target = f"{sys.executable} {collector} {{port}}"
    report = bench("lossless", *SHORT, "--repeats", "1", "--target", target, "--count", f"{sys.executable} {count}")
    assert (report["records"], report["lost"], report["lost_there"]) == (FLOWS - 30, 30, 30)
    assert report["lossless_records_per_second"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lossless", "--target", "sleep 1", "--count", "true"), "told no port"),
        (("lossless", "--target", "sleep {port}"), "nobody knows"),
        (("lossless", "--target", "no-such-program {port}", "--count", "true"), "cannot start"),
        (("lossless", "--target", "sleep 'x {port}", "--count", "true"), "is no command line"),
        (("lossless", "--target", "self", "--count", "true"), "nothing is counted by"),
        (("receive", "--template", "v6"), "unknown template"),
        (("receive", "--order", "best"), "unknown order"),
        (("receive", "--columns", "bite"), "unknown column"),
        (("collect", "--to", "-"), "standard output"),
        (("collect", "--to", "null:", "--columns", "bite"), "unknown column"),
        (("collect", "--to", "/nowhere/x.parquet"), "/nowhere is no directory"),
        (("decode", "--capture", "no-such-file.pcap"), "no such file"),
        (("decode", "--capture", __file__), "is not a pcap"),
        (("decode", "--template", "v5", "--order", "worst"), "does not apply to v5"),
        (("decode", "--schema", "wire", "--columns", "bytes"), "only the flows schema has columns"),
        ((), "missing command"),
    ],
)
def test_mistakes_are_told(arguments, said):
    done = flowfast("bench", *arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "hint: " in done.stderr
