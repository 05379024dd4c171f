"""The ledger beside the flows, and what `flowfast ledger` says of it."""

import json
import signal
import time
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import IPFIX_TEMPLATE, collecting, ipfix_data, netflow5, pcap, run, send
from trials import wait_until

from flowfast.commands.ledger import MENDS
from flowfast.counters import LABELS
from flowfast.ledger import read

SCHEMA = pa.schema(
    [
        ("minute", pa.timestamp("us", "UTC")),
        ("worker", pa.uint16()),
        ("exporter", pa.binary(16)),
        ("format", pa.utf8()),
        ("domain", pa.uint32()),
        ("target", pa.utf8()),
        ("counter", pa.utf8()),
        ("reason", pa.utf8()),
        ("label", pa.utf8()),
        ("count", pa.int64()),
    ]
)
EXPORTER = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1])


def write(directory, rows, minute=datetime(2020, 2, 3, 12, tzinfo=UTC)):
    """A ledger of (counter, reason, count) of one exporter, or (counter, reason, count, target) of a target."""
    (directory / "ledger").mkdir(exist_ok=True)
    whole = [
        {
            "minute": minute,
            "worker": 0,
            "exporter": EXPORTER,
            "format": "ipfix",
            "domain": 7,
            "counter": name,
            "reason": why,
            "label": why,
            "count": n,
            "target": target[0] if target else None,
        }
        for name, why, n, *target in rows
    ]
    pq.write_table(pa.Table.from_pylist(whole, schema=SCHEMA), directory / "ledger" / f"{minute:%H%M}.parquet")


@pytest.mark.parametrize("target", ["parquet", "arrow"])
def test_a_run_tells_what_became_of_everything(target, tmp_path):
    out = tmp_path / "out"
    with collecting("--listen", "udp://127.0.0.1:0?count=2", "--to", f"{target}:{out}", "--to", "null:", "--rotate", "1s") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.wait_for("writing")
        send(port, [netflow5(30), netflow5(30, sequence=60), b"\0\5", b"\0\115what is this"])
        time.sleep(1.1)
        send(port, [ipfix_data(3, template=300), IPFIX_TEMPLATE, ipfix_data(5)])
        counters = running.stop()["counters"]
    done = run("ledger", out, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["balances"]
    total = told["total"]
    assert total["datagrams_discarded"] == counters["datagrams_discarded"] == {"header_truncated": 1, "unknown_version": 1}
    for name in (
        "datagrams_received",
        "octets_received",
        "datagrams_decoded",
        "records_decoded",
        "records_queued",
        "sequence_lost_records",
    ):
        assert total[name] == counters[name], name
    assert total["sets_late"] == counters["sets_late"] == 1  # it is in the journal
    assert told["targets"][f"{target}:{out}"] == {"records_handed": 65, "records_written": 65}
    by_format = {each["format"]: each["counters"]["datagrams_received"] for each in told["exporters"]}
    assert by_format == {"netflow_v5": 2, "ipfix": 3, None: 2}
    if target == "parquet":
        assert duckdb.sql(f"select count(*) from '{out}/flows/**/*.parquet'").fetchall() == [(65,)]


def test_convert_keeps_it_too_and_it_is_text_for_people(tmp_path):
    (tmp_path / "x.pcap").write_bytes(pcap([netflow5(30, sequence=30 * n) for n in range(200)] + [b"\0\5"], step_s=1))
    assert run("convert", tmp_path / "x.pcap", "--to", f"parquet:{tmp_path}/out", "--to", f"{tmp_path}/x.ndjson").returncode == 0
    assert (tmp_path / "x.ndjson").read_text().count("\n") == 6000
    minutes = duckdb.sql(
        f"select epoch_us(minute), sum(count) from '{tmp_path}/out/ledger/**/*.parquet' where counter = 'datagrams_received' "
        "group by 1 order by 1"
    ).fetchall()
    assert [count for _, count in minutes] == [40, 60, 60, 41]
    done = run("ledger", tmp_path / "out")
    assert done.returncode == 0
    assert "192.0.2.1 netflow_v5 domain 0" in done.stdout
    assert f"6,000 records written to parquet:{tmp_path}/out" in done.stdout
    assert "it balances" in done.stdout
    assert "biggest loss: malformed" in done.stdout
    assert "hint: " in done.stdout


def test_since_and_exporter_choose(tmp_path):
    for datagrams, minute in [(5, datetime(2020, 2, 3, 12, tzinfo=UTC)), (7, datetime.now(UTC) - timedelta(minutes=5))]:
        write(tmp_path, [("datagrams_received", None, datagrams), ("datagrams_decoded", None, datagrams)], minute)
    mapped = "::ffff:192.0.2.1"
    for arguments, datagrams in [((), 12), (("--since", "1h"), 7), (("--since", "2020-02-03T12:00"), 12), (("--exporter", mapped), 12)]:
        assert json.loads(run("ledger", tmp_path, "--json", *arguments).stdout)["total"]["datagrams_received"] == datagrams
    assert run("ledger", tmp_path, "--exporter", "192.0.2.9").stdout == "the ledger has no rows of that time or exporter\n"


def test_what_does_not_balance_is_said(tmp_path):
    write(tmp_path, [("datagrams_received", None, 5), ("datagrams_decoded", None, 3), ("datagrams_discarded", "acl", 1)])
    done = run("ledger", tmp_path)
    assert done.returncode == 1
    assert "it does not balance" in done.stdout
    assert "192.0.2.1 ipfix domain 7: datagrams_received is 1 more than datagrams_decoded + datagrams_discarded" in done.stdout


def test_what_a_target_has_is_held_against_what_was_received(tmp_path):
    """Rows of the ledger that were lost leave every sum right: of what a process received, and of what its target did."""
    received = [("records_decoded", None, 90), ("records_queued", None, 70), ("records_dropped", "to_journal", 20)]
    handed = [("records_handed", None, 100, "null:"), ("records_failed", "no_space", 30, "null:"), ("records_deferred", None, 10, "null:")]
    base = [("records_received", None, 90), *received, *handed]
    write(tmp_path, [*base, ("records_written", None, 60, "null:")])
    assert read(tmp_path).imbalances == []
    left = [("records_written", None, 45, "null:"), ("records_in_flight", None, 4, "null:"), ("records_deferred", None, 11, "null:")]
    write(tmp_path, [*base, *left])
    assert read(tmp_path).imbalances == []
    assert "45 records written to null:, 30 failed, 4 in flight\n11 records in the journal\n" in run("ledger", tmp_path).stdout
    assert json.loads(run("ledger", tmp_path, "--json").stdout)["records_in_journal"] == 11
    of_another_name = [("records_handed", None, 11, "-"), ("records_written", None, 11, "-")]
    write(tmp_path, [*base, *left, *of_another_name])
    assert (read(tmp_path).in_journal, read(tmp_path).imbalances) == (0, [])
    more = [("records_handed", None, 1, "null:"), ("records_written", None, 61, "null:")]
    write(tmp_path, [*base, *more])
    [said] = read(tmp_path).imbalances
    assert said.startswith("1 record more written or lost than received")
    assert read(tmp_path, since=datetime(2020, 1, 1, tzinfo=UTC)).imbalances == []  # rows before may have told
    write(tmp_path, [*base, *more, ("sets_late", None, 1), ("sets_undecodable", None, 1)])
    assert read(tmp_path).imbalances == []  # nobody knows how many records the journal has in it


def test_the_biggest_loss_is_in_records_whatever_the_unit(tmp_path):
    base = [
        ("datagrams_received", None, 110),
        ("octets_received", None, 100_000),
        ("datagrams_decoded", None, 100),
        ("datagrams_discarded", "malformed", 10),
        ("records_received", None, 3000),
        ("records_decoded", None, 3000),
        ("records_queued", None, 3000),
    ]
    write(tmp_path, base)
    assert [(loss.reason, loss.count, round(loss.records)) for loss in read(tmp_path).losses] == [("malformed", 10, 300)]
    # 400 records missing by sequence numbers: 300 of them in the datagrams that were malformed.
    write(tmp_path, [*base, ("sequence_lost_records", None, 400)])
    assert [(loss.reason, round(loss.records)) for loss in read(tmp_path).losses] == [("malformed", 300), ("network", 100)]
    write(tmp_path, [*base, ("kernel_drops", None, 50)])
    assert [loss.reason for loss in read(tmp_path).losses] == ["kernel", "malformed"]
    # Three drops of the kernel, of trains of ten datagrams: 900 of 1,000 more records missing by sequence numbers.
    write(tmp_path, [*base, ("sequence_lost_records", None, 1300), ("kernel_drops", None, 3), ("kernel_drops_datagrams", None, 30)])
    losses = [(loss.reason, loss.count, round(loss.records)) for loss in read(tmp_path).losses]
    assert losses == [("kernel", 3, 900), ("malformed", 10, 300), ("network", 1300, 100)]


def test_who_has_nothing_to_show_has_no_line(tmp_path):
    write(tmp_path, [("kernel_drops", None, 2)])
    said = run("ledger", tmp_path).stdout
    assert "192.0.2.1" not in said
    assert "the kernel dropped 2 receptions, about 2 datagrams\n" in said


def test_every_reason_has_a_remedy():
    ours = {"queue_full", "worker_panic"}
    assert {why for name, why in MENDS if name == "sets_discarded"} == set(LABELS["sets_discarded"])
    assert {why for name, why in MENDS if name == "records_dropped"} == ours | {"target_queue_full"}
    assert set(LABELS["records_dropped"]) == ours | {"closed", "to_journal"}


@pytest.mark.parametrize("arguments", [("--exporter", "nobody"), ("--since", "yesterday")])
def test_wrong_usage(arguments, tmp_path):
    write(tmp_path, [("datagrams_received", None, 5)])
    done = run("ledger", tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "hint: " in done.stderr


def test_a_directory_without_a_ledger(tmp_path):
    done = run("ledger", tmp_path)
    assert done.returncode == 1
    assert "there is no ledger in" in done.stderr
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "x.parquet").write_text("no parquet")
    assert "cannot read the ledger" in run("ledger", tmp_path).stderr


def test_a_ledger_that_cannot_be_written_costs_no_flow(tmp_path):
    out = tmp_path / "out"
    with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1h") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        out.joinpath("ledger").write_text("a file where a directory must be")
        send(port, [netflow5(30)])
        running.process.send_signal(signal.SIGTERM)
        assert "not a directory" in running.wait_for("ledger_late")["message"]
        assert "not a directory" in running.wait_for("ledger_lost")["message"]
        summary = running.wait_for("summary")
    assert summary["targets"][0]["records_written"] == 30
    assert summary["targets"][0]["records_failed"] == 0


@pytest.mark.parametrize("journal", ["on", "off"])
def test_a_ledger_that_could_not_be_written_for_a_while_tells_all_of_it(journal, tmp_path):
    out = tmp_path / "out"
    with collecting("--listen", "udp://127.0.0.1:0", "--to", f"parquet:{out}", "--rotate", "1s", "--journal", journal) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        (out / "ledger").write_text("a file where a directory must be")
        for number in range(4):
            send(port, [netflow5(30, sequence=30 * number), b"\0\5"])
            time.sleep(0.6)
        running.wait_for("ledger_late")
        wait_until(lambda: list(out.glob("flows/**/*.parquet")))  # flows did not wait for it
        (out / "ledger").unlink()
        send(port, [netflow5(30, sequence=120)])
        summary = running.stop()
    told = read(out)
    assert not told.imbalances
    assert told.total.counts["datagrams_received"] == summary["counters"]["datagrams_received"] == 9
    assert told.total.of("datagrams_discarded") == {"malformed": 4}
    assert told.targets[f"parquet:{out}"]["records_written"] == 150
    assert "ledger_lost" not in {line["event"] for line in running.log}
