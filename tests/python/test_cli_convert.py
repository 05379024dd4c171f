import ipaddress
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from support import FLOWFAST, IPFIX_TEMPLATE, environment, ipfix_data, netflow5, pcap, run

import flowfast
from oracle.exporter import Field, a_set, ipfix, template, templates


@pytest.fixture
def capture(tmp_path):
    """Ten NetFlow v5 datagrams of thirty records each, a minute apart."""
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([netflow5(30, sequence=30 * index) for index in range(10)], step_s=60))
    return path


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "ndjson", "csv"])
def test_one_file_of_each_format(capture, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    done = run("convert", capture, "--to", out)
    assert done.returncode == 0, done.stderr
    read = {"parquet": pl.read_parquet, "arrow": pl.read_ipc, "ndjson": pl.read_ndjson, "csv": pl.read_csv}[suffix]
    rows = read(out)
    assert rows.height == 300
    assert rows["packets"].to_list() == [each["packets"] for each in read(out).to_dicts()]
    assert done.stdout == ""
    assert done.stderr == f"10 datagrams received, 300 records decoded\n300 records written to {out}\n"


def test_malformed_datagrams_are_counted_and_not_listed(tmp_path):
    # FF-RB-03: whatever strangers send, and however much of it, what is written about it has the same few lines.
    lines = []
    for datagrams in (1, 1000):
        (tmp_path / "x.pcap").write_bytes(pcap([netflow5(1)[:-1], b"\0\x4d" + bytes(40)] * datagrams))
        done = run("convert", tmp_path / "x.pcap", "--to", "null:")
        assert f"{2 * datagrams:,} datagrams discarded" in done.stderr
        lines.append(done.stderr.count("\n"))
    assert lines[0] == lines[1] < 10


def test_ndjson_on_standard_output_is_the_default(capture):
    done = run("convert", capture)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 300
    assert rows[0]["type"] == "netflow_v5"
    assert rows[0]["src_addr"] == "10.0.0.1"
    assert rows[0]["sampler_address"] == "192.0.2.1"
    assert rows[0]["time_received"].startswith("2026-09-21T")


def test_rotating_files_follow_the_time_of_the_capture(capture, tmp_path):
    assert run("convert", capture, "--to", f"parquet:{tmp_path}/out", "--rotate", "5m").returncode == 0
    names = sorted(path.name for path in tmp_path.rglob("flows-*.parquet"))
    # 1790000000 is 2026-09-21T14:13:20Z; ten datagrams a minute apart lie in three intervals of five minutes
    assert names == [f"flows-20260921T14{minute}00Z-0-0.parquet" for minute in (10, 15, 20)]
    assert pl.read_parquet(f"{tmp_path}/out/flows/date=2026-09-21/hour=14/*.parquet").height == 300


def test_several_targets_and_inputs(capture, tmp_path):
    done = run(
        "convert", capture, capture, "--to", tmp_path / "a.csv", "--to", "null:", "--to", tmp_path / "b.parquet", "--columns", "minimal"
    )
    assert done.returncode == 0
    assert pl.read_csv(tmp_path / "a.csv").height == pl.read_parquet(tmp_path / "b.parquet").height == 600


def test_ports(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([netflow5(30)], port=2055))
    assert "30 records decoded" in run("convert", path, "--to", "null:", "--port", "2055", "--port", "9995").stderr
    assert "0 records decoded" in run("convert", path, "--to", "null:", "--port", "9995").stderr


def test_standard_input(capture):
    done = subprocess.run([*FLOWFAST, "convert", "-", "--to", "null:"], input=capture.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0
    assert b"300 records decoded" in done.stderr


def test_malformed_datagrams_are_counted_and_no_failure(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(
        pcap([netflow5(30), b"\0\5\0", netflow5(30)[:100], b"\0\x63garbage........", netflow5(30, sequence=30), ipfix_data(3)])
    )
    done = run("convert", path, "--to", "null:")
    assert done.returncode == 0
    assert "6 datagrams received, 60 records decoded" in done.stderr
    assert "3 datagrams discarded: " in done.stderr
    assert "data set" in done.stderr


def test_strict_lengths(tmp_path):
    """FF-DT-02, FF-IX-03: which messages are malformed, and what becomes of them, are two settings."""
    good, odd = template(256, Field(1, 8)), template(257, Field(8, 3))
    message = ipfix(templates(good), a_set(256, bytes(8)), templates(odd), a_set(257, b"abc"))
    (tmp_path / "x.pcap").write_bytes(pcap([message]))
    for flags, rows in [((), 2), (("--strict-lengths",), 0), (("--strict-lengths", "--lenient"), 1)]:
        done = run("convert", tmp_path / "x.pcap", *flags)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, rows), done.stderr
        assert ("discarded: field_length 1" in done.stderr) == (rows == 0)


def test_records_of_a_mediator(tmp_path):
    """FF-Q-10: of the Exporter that they name, if the sender is configured as one that may name any."""
    fields = template(256, Field(8, 4), Field(130, 4))
    records = b"".join(bytes([10, 1, 1, host]) + bytes([10, 9, 9, exporter]) for host, exporter in ((1, 1), (2, 1), (3, 2)))
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([ipfix(templates(fields), a_set(256, records))]))
    for mediators, samplers in [((), ["192.0.2.1"] * 3), (("192.0.2.0/24", "::1"), ["10.9.9.1", "10.9.9.1", "10.9.9.2"])]:
        flags = [flag for network in mediators for flag in ("--mediators", network)]
        done = run("convert", path, *flags)
        assert [json.loads(line)["sampler_address"] for line in done.stdout.splitlines()] == samplers, done.stderr
        rows = pa.table(flowfast.read(path, columns=["sampler_address"], mediators=mediators)).column(0).to_pylist()
        assert [str(ipaddress.IPv6Address(row).ipv4_mapped) for row in rows] == samplers
    wrong = run("convert", path, "--mediators", "the proxy")
    assert (wrong.returncode, "--mediators: `the proxy` is no network" in wrong.stderr) == (2, True)


def test_a_truncated_capture_keeps_what_was_readable(capture, tmp_path):
    whole = capture.read_bytes()
    capture.write_bytes(whole[:-100])
    done = run("convert", capture, "--to", tmp_path / "x.parquet")
    assert done.returncode == 1
    assert pl.read_parquet(tmp_path / "x.parquet").height == 270
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(capture) in line


def test_a_foreign_file_does_not_spoil_the_others(capture, tmp_path):
    foreign = tmp_path / "letter.txt"
    foreign.write_text("Dear Sir or Madam, " * 20)
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(b"")
    done = run("convert", foreign, capture, empty, "--to", tmp_path / "x.parquet")
    assert done.returncode == 1
    assert pl.read_parquet(tmp_path / "x.parquet").height == 300
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert any(str(foreign) in line for line in errors)


def test_wire_in_one_file_needs_one_table(tmp_path):
    one, two = tmp_path / "one.pcap", tmp_path / "two.pcap"
    one.write_bytes(pcap([IPFIX_TEMPLATE, ipfix_data(5)]))
    two.write_bytes(pcap([IPFIX_TEMPLATE, ipfix_data(5), netflow5(10)]))
    out = tmp_path / "x.parquet"
    assert run("convert", one, "--schema", "wire", "--to", out).returncode == 0
    assert pl.read_parquet(out).height == 5
    out.unlink()
    done = run("convert", two, "--schema", "wire", "--to", out)
    assert done.returncode == 1
    assert "cannot hold two tables" in done.stderr
    assert "hint: write the wire schema to `parquet:DIR`" in done.stderr
    assert not out.exists()
    done = run("convert", two, "--schema", "wire", "--to", tmp_path / "x.ndjson")
    assert done.returncode == 0
    assert {json.loads(line)["_type"] for line in (tmp_path / "x.ndjson").read_text().splitlines()} == {"ipfix", "netflow_v5"}


def test_no_flows_still_give_a_file(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([]))
    for name in ("x.parquet", "x.arrow", "x.csv", "x.ndjson"):
        done = run("convert", path, "--to", tmp_path / name)
        assert done.returncode == 0, done.stderr
    columns = pl.read_parquet(tmp_path / "x.parquet").columns
    assert "src_addr" in columns
    assert columns == pl.read_ipc(tmp_path / "x.arrow").columns == (tmp_path / "x.csv").read_text().strip().split(",")
    assert (tmp_path / "x.ndjson").read_text() == ""


def test_a_reader_that_leaves_ends_it_quietly(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([netflow5(30, sequence=30 * index) for index in range(5000)]))
    process = subprocess.Popen([*FLOWFAST, "convert", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def wait_until_it_catches_signals(pid):
    """Python itself catches SIGINT only."""
    deadline = time.monotonic() + 20
    while not int(re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[1], 16) >> (signal.SIGTERM - 1) & 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_says_how_far_it_came(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = subprocess.Popen(
        [*FLOWFAST, "convert", fifo, "--to", tmp_path / "x.parquet"], stderr=subprocess.PIPE, text=True, env=environment()
    )
    with fifo.open("wb", buffering=0) as feed:
        feed.write(pcap([netflow5(30)]))
        wait_until_it_catches_signals(reading.pid)
        reading.send_signal(signal.SIGINT)
        time.sleep(0.5)
    assert reading.wait(20) == 1
    text = reading.stderr.read()
    reading.stderr.close()
    assert re.search(r"error: interrupted after [\d,]+ octets\nhint: ", text), "a pipe has no length to be a part of"
    assert "Traceback" not in text


def test_a_second_ctrl_c_says_what_is_lost(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([netflow5(30, sequence=30 * index) for index in range(5000)]))
    # Nobody reads: the target takes what a pipe holds, and the rest waits.
    converting = subprocess.Popen(
        [*FLOWFAST, "convert", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    converting.stdout.readline()
    for _ in range(2):
        converting.send_signal(signal.SIGINT)
        time.sleep(0.5)
    assert converting.wait(20) == 1
    text = converting.stderr.read()
    converting.stdout.close()
    converting.stderr.close()
    assert re.search(r"error: stopped at once after [\d,]+ of [\d,]+ octets: [\d,]+ records in flight are lost\nhint: ", text)
    assert "is written\n" not in text
    assert "Traceback" not in text


def test_a_full_disk_is_a_sentence():
    done = run("convert", "-", "--to", "/dev/full.parquet", stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write to /dev/full.parquet") or "error: -" in done.stderr
