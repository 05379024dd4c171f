"""Biflows (RFC 5103) split into a row for each direction: from Python and from the command line."""

import time
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import collecting, run, send

import flowfast
from oracle.capture import datagrams

BIFLOWS = Path(__file__).resolve().parents[1] / "captures" / "softflowd-ipfix-biflow.pcap"
COLUMNS = ["src_addr", "dst_addr", "src_port", "dst_port", "proto", "bytes", "packets", "reverse_bytes", "reverse_packets"]


def test_both_directions_of_a_real_exporter():
    """FF-BI-04: what was counted stays counted, each direction in a row of its own, the ends changed."""
    split = flowfast.read(BIFLOWS, columns=COLUMNS, biflow="split")
    kept_rows, split_rows = pa.table(flowfast.read(BIFLOWS, columns=COLUMNS)), pa.table(split)
    two_way = duckdb.sql("select * from kept_rows where reverse_packets > 0").fetchall()
    assert 0 < len(two_way) < kept_rows.num_rows
    assert split_rows.num_rows == kept_rows.num_rows + len(two_way) == split.stats()["records_decoded"]
    assert split.stats()["biflows_split"] == len(two_way)
    before = duckdb.sql("select sum(bytes + reverse_bytes), sum(packets + reverse_packets) from kept_rows").fetchall()
    assert duckdb.sql("select sum(bytes), sum(packets) from split_rows").fetchall() == before
    changed = [(row[1], row[0], row[3], row[2], row[4], row[7], row[8]) for row in two_way]
    reverse = duckdb.sql("select * exclude (reverse_bytes, reverse_packets) from split_rows where reverse_bytes is null").fetchall()
    assert Counter(reverse) == Counter(changed)


def test_the_command_line_splits(tmp_path):
    out = tmp_path / "out.parquet"
    done = run("convert", BIFLOWS, "--to", out, "--biflow", "split")
    assert done.returncode == 0, done.stderr
    split = flowfast.read(BIFLOWS, biflow="split")
    assert pq.read_metadata(out).num_rows == pa.table(split).num_rows
    wrong = run("convert", BIFLOWS, "--to", out, "--biflow", "both")
    assert wrong.returncode == 2
    assert "biflow" in wrong.stderr


def test_only_known_ways():
    with pytest.raises(flowfast.UsageError, match="biflow"):
        pa.table(flowfast.read(BIFLOWS, biflow="both"))


def test_what_the_journal_gives_again_is_split(tmp_path):
    out = tmp_path / "out"
    payloads = [each.payload for each in datagrams(BIFLOWS)]
    flags = ("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1h", "--biflow", "split")
    with collecting(*flags) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send(port, payloads)
        deadline = time.monotonic() + 20
        while (
            sum(path.stat().st_size for path in out.glob("journal/[0-9]*.pcap")) < sum(map(len, payloads)) and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        running.process.kill()
        running.process.wait()
    with collecting(*flags) as running:
        recovered = running.wait_for("recovered")["records"]
        running.stop()
    assert recovered == pa.table(flowfast.read(BIFLOWS, biflow="split")).num_rows > pa.table(flowfast.read(BIFLOWS)).num_rows
