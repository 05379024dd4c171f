"""Biflows (RFC 5103) split into a row for each direction: from Python and from the command line."""

import re
import struct
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
from oracle.exporter import Field, a_set, ipfix, template, templates

ROOT = Path(__file__).resolve().parents[2]
BIFLOWS = ROOT / "tests" / "captures" / "softflowd-ipfix-biflow.pcap"
START_S = 1_700_000_040  # a whole minute
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


@pytest.fixture
def two_halves(tmp_path):
    """A directory of Parquet files: a flow, half a minute later the answer to it, and a flow that nobody answered."""
    one, other, third = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\x0a\0\0\3"
    fields = (Field(8, 4), Field(12, 4), Field(7, 2), Field(11, 2), Field(4, 1), Field(1, 8), Field(150, 4))
    records = (
        one + other + struct.pack(">HHBQI", 40000, 443, 6, 100, START_S),
        other + one + struct.pack(">HHBQI", 443, 40000, 6, 7000, START_S + 30),
        third + other + struct.pack(">HHBQI", 40000, 443, 6, 50, START_S + 30),
    )
    decoder = flowfast.Decoder()
    decoder.decode(ipfix(templates(template(256, *fields)), a_set(256, *records)), "192.0.2.1", time_received_ns=(START_S + 60) * 10**9)
    (tmp_path / "flows").mkdir()
    pq.write_table(pa.Table.from_batches([pa.record_batch(batch) for batch in decoder.flush()]), tmp_path / "flows" / "x.parquet")
    return tmp_path


def test_uniflows_are_not_paired(two_halves):
    """FF-BI-05: rows as they were sent; what pairs them is a query, and this one is the guide's."""
    rows = duckdb.sql(f"select bytes, reverse_bytes from '{two_halves}/flows/*.parquet' order by bytes").fetchall()
    assert rows == [(50, None), (100, None), (7000, None)]
    database = duckdb.connect()
    database.execute((ROOT / "examples/duckdb_macros.sql").read_text())
    (query,) = re.findall(r"```sql\n(with flows.*?)```", (ROOT / "docs/guides/query.md").read_text(), re.DOTALL)
    found = database.execute(query.replace("/var/lib/flowfast", str(two_halves))).fetchall()
    assert [row[1:] for row in found] == [
        (6, "10.0.0.1", 40000, "10.0.0.2", 443, 100, 7000),
        (6, "10.0.0.2", 443, "10.0.0.3", 40000, 0, 50),
    ]


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
