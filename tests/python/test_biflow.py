"""Biflows (RFC 5103) split into a row for each direction: from Python and from the command line."""

from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import run

import flowfast

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
