"""`flowfast collect` as a process: real sockets, real signals, real files."""

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter

import duckdb
import polars as pl
import pytest
from support import FLOWFAST, IPFIX_TEMPLATE, collecting, environment, ipfix_data, netflow5, send

LOOPBACK = ("--listen", "udp://127.0.0.1:0")


def assert_adds_up(summary):
    """Check the equations of the ledger on a closing summary."""
    counters = summary["counters"]
    assert counters["datagrams_received"] == counters["datagrams_decoded"] + sum(counters.get("datagrams_discarded", {}).values())
    assert counters["records_decoded"] == counters["records_queued"] + sum(counters.get("records_dropped", {}).values())
    assert counters["records_pending"] == 0
    for target in summary["targets"]:
        assert counters["records_queued"] == target["records_handed"] + target["records_dropped"]
        assert target["records_handed"] == (
            target["records_written"] + target["records_failed"] + target["records_deferred"] + target["records_in_flight"]
        )
        assert target["records_in_flight"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_flows_end_up_in_parquet(tmp_path, number):
    with collecting(*LOOPBACK, "--to", f"parquet:{tmp_path}/out") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send(port, [netflow5(30, sequence=30 * index) for index in range(10)] + [b"\0\5", b"nonsense that is no flow export"])
        summary = running.stop(number)
    assert_adds_up(summary)
    assert summary["counters"]["datagrams_received"] == 12
    assert summary["counters"]["records_decoded"] == 300
    assert sum(summary["counters"]["datagrams_discarded"].values()) == 2
    assert summary["targets"][0]["records_written"] == 300
    pattern = f"{tmp_path}/out/flows/**/*.parquet"
    assert duckdb.sql(f"select count(*), sum(bytes), min(dst_port) from '{pattern}'").fetchall() == [(300, 10 * sum(range(100, 130)), 443)]
    rows = pl.read_parquet(pattern)
    assert rows["src_addr"].unique().to_list() == [bytes.fromhex("00000000000000000000ffff0a000001")]
    assert rows["sampler_address"].unique().to_list() == [bytes.fromhex("00000000000000000000ffff7f000001")]
    assert not list(tmp_path.rglob("*.tmp"))


def test_every_target_gets_every_row(tmp_path):
    single = [str(tmp_path / f"x.{name}") for name in ("parquet", "arrow", "ndjson", "csv")]
    targets = [f"parquet:{tmp_path}/out", f"arrow:{tmp_path}/out2", *single, "null:", "-"]
    flags = [flag for target in targets for flag in ("--to", target)]
    with collecting(*LOOPBACK, *flags, "--columns", "minimal,src_as", "--columns", "next_hop") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send(port, [netflow5(30)])
        objects = [json.loads(running.process.stdout.readline()) for _ in range(30)]
        summary = running.stop()
    assert_adds_up(summary)
    assert [target["records_written"] for target in summary["targets"]] == [30] * len(targets)
    assert {each["src_addr"] for each in objects} == {"10.0.0.1"}
    assert sorted(each["bytes"] for each in objects) == list(range(100, 130))
    assert {"src_as", "next_hop"} <= set(objects[0])
    assert (
        pl.read_parquet(single[0]).height
        == pl.read_ipc(single[1]).height
        == pl.read_ndjson(single[2]).height
        == pl.read_csv(single[3]).height
        == 30
    )
    assert pl.read_parquet(single[0]).columns == pl.read_csv(single[3]).columns


def test_both_ip_versions_and_several_workers(tmp_path):
    flags = ("--listen", "udp://127.0.0.1:0?count=2,udp://[::1]:0", "--workers", "3", "--to", f"{tmp_path}/x.ndjson")
    with collecting(*flags) as running:
        v4, v6 = running.wait_for("listening"), running.wait_for("listening")
        assert (v4["workers"], v6["workers"]) == (2, 3)
        assert v4["uri"].startswith("udp://127.0.0.1:")
        assert v6["uri"].startswith("udp://[::1]:")
        running.wait_for("writing")
        send(v4["port"], [netflow5(10)])
        send(v6["port"], [netflow5(20)], host="::1")
        summary = running.stop()
    assert_adds_up(summary)
    rows = [json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines()]
    assert Counter(row["sampler_address"] for row in rows) == {"127.0.0.1": 10, "::1": 20}


def test_goflow2_flags_are_accepted_and_what_is_ignored_is_said():
    uri = "netflow://127.0.0.1:0?count=2&workers=4&queue_size=1000&blocking=true,sflow://127.0.0.1:0"
    with collecting("--listen", uri, "--to", "null:") as running:
        note = running.wait_for("setting_ignored")
        assert note["settings"] == ["workers", "queue_size"]
        netflow, sflow = running.wait_for("listening"), running.wait_for("listening")
        running.wait_for("writing")
        send(netflow["port"], [netflow5(10)])
        send(sflow["port"], [netflow5(10)])
        summary = running.stop()
    assert_adds_up(summary)
    assert summary["counters"]["records_decoded"] == 10
    assert summary["counters"]["datagrams_discarded"] == {"wrong_protocol": 1}


def test_files_are_committed_while_it_runs(tmp_path):
    with collecting(*LOOPBACK, "--to", f"parquet:{tmp_path}/out", "--rotate", "1s") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        deadline = time.monotonic() + 20
        sent = 0
        while len(list(tmp_path.rglob("*.parquet"))) < 2:
            send(port, [netflow5(1, sequence=sent)])
            sent += 1
            time.sleep(0.1)
            assert time.monotonic() < deadline
        summary = running.stop()
    assert_adds_up(summary)
    assert summary["targets"][0]["records_written"] == sent
    rows = duckdb.sql(
        "select epoch_us(time_received) // 1000000, parse_path(filename)[-1] "
        f"from read_parquet('{tmp_path}/out/flows/**/*.parquet', filename=true)"
    ).fetchall()
    assert len(rows) == sent
    for received, name in rows:  # each row lies in the file of the second it was received in
        assert name.startswith(f"flows-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(received))}-0-")


def test_a_second_run_overwrites_nothing(tmp_path):
    for _ in range(2):
        with collecting(*LOOPBACK, "--to", f"arrow:{tmp_path}/out", "--rotate", "1h") as running:
            port = running.wait_for("listening")["port"]
            running.wait_for("writing")
            send(port, [netflow5(30)])
            assert running.stop()["targets"][0]["records_written"] == 30
    assert sum(pl.read_ipc(path).height for path in tmp_path.rglob("flows-*.arrow")) == 60


def test_kill_without_a_journal_leaves_no_half_file_and_the_next_run_says_so(tmp_path):
    with collecting(*LOOPBACK, "--journal", "off", "--to", f"parquet:{tmp_path}/out") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send(port, [netflow5(30)])
        deadline = time.monotonic() + 20
        while not list(tmp_path.rglob("*.tmp")):
            time.sleep(0.05)
            assert time.monotonic() < deadline
        running.process.kill()
        running.process.wait()
    assert not list(tmp_path.rglob("*.parquet"))
    with collecting(*LOOPBACK, "--journal", "off", "--to", f"parquet:{tmp_path}/out") as running:
        assert running.wait_for("unfinished_files")["files"] == 1
        running.wait_for("writing")
        running.stop()
    assert len(list(tmp_path.rglob("*.tmp"))) == 1


def test_a_reader_that_leaves_ends_it_quietly():
    with collecting(*LOOPBACK, "--to", "-") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.process.stdout.close()
        send(port, [netflow5(30)])
        assert running.process.wait(20) == 0
        rest = running.rest()
    assert "Traceback" not in rest
    assert '"level": "error"' not in rest


def test_a_reader_that_leaves_does_not_end_the_other_targets(tmp_path):
    with collecting(*LOOPBACK, "--to", "-", "--to", f"{tmp_path}/x.csv") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.process.stdout.close()
        for index in range(3):
            send(port, [netflow5(30, sequence=30 * index)])
            time.sleep(1.2)
        assert running.process.poll() is None
        summary = running.stop()
    assert_adds_up(summary)
    assert [target["records_failed"] for target in summary["targets"]] == [90, 0]
    assert pl.read_csv(tmp_path / "x.csv").height == 90


def test_a_target_that_fails_does_not_stop_reception(tmp_path):
    out = tmp_path / "out"
    with collecting(*LOOPBACK, "--journal", "off", "--to", f"parquet:{out}", "--rotate", "1s") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        shutil.rmtree(out)
        out.write_text("a file where the directory was")
        send(port, [netflow5(30)])
        failure = running.wait_for("target_retrying")
        assert (failure["level"], failure["target"]) == ("warning", f"parquet:{out}")
        assert "not a directory" in failure["message"] or "file exists" in failure["message"]
        assert running.wait_for("all_targets_failing")["level"] == "error"
        out.unlink()
        assert running.wait_for("target_recovered")["target"] == f"parquet:{out}"
        send(port, [netflow5(30, sequence=30)])
        summary = running.stop()
    assert_adds_up(summary)
    assert summary["targets"][0]["records_failed"] == 0
    assert summary["targets"][0]["retries"] > 0
    assert duckdb.sql(f"select count(*) from '{out}/flows/**/*.parquet'").fetchall() == [(60,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_disk_does_not_stop_reception(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        flags = ("--to", f"csv:{disk}/out", "--to", f"ndjson:{tmp_path}/whole", "--rotate", "1s")
        with collecting(*LOOPBACK, *flags) as running:
            port = running.wait_for("listening")["port"]
            running.wait_for("writing")
            running.wait_for("writing")
            for index in range(40):
                send(port, [netflow5(30, sequence=30 * (50 * index + each)) for each in range(50)])
                time.sleep(0.05)
            assert "no space left on the device" in running.wait_for("target_retrying")["message"]
            summary = running.stop(exit_code=1)
        assert_adds_up(summary)
        full, whole = summary["targets"]
        assert full["records_failed"] > 0
        assert whole["records_failed"] == 0
        assert whole["records_written"] == summary["counters"]["records_decoded"]
        assert sum(pl.read_csv(path).height for path in disk.rglob("flows-*.csv")) == full["records_written"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_when_every_target_is_lost_it_goes_on_and_fails_at_its_end(tmp_path):
    # A single file is lost for good by its first fault. Reception goes on, for somebody may read the metrics.
    with collecting(*LOOPBACK, "--to", f"{tmp_path}/x.ndjson", preexec_fn=_no_file_beyond_4_kib) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        for sequence in range(0, 3000, 30):
            send(port, [netflow5(30, sequence=sequence)])
        assert running.wait_for("all_targets_failing")["level"] == "error"
        send(port, [netflow5(30, sequence=3000)])
        time.sleep(0.2)
        running.process.send_signal(signal.SIGTERM)
        summary = running.wait_for("summary")
        assert running.process.wait(20) == 1
    assert_adds_up(summary)
    (target,) = summary["targets"]
    assert target["records_failed"] == summary["counters"]["records_decoded"] == 3030
    assert not (tmp_path / "x.ndjson").exists()


def test_what_was_lost_before_it_was_told_to_stop_does_not_fail_its_end(tmp_path):
    with collecting(*LOOPBACK, "--to", "null:", "--to", f"{tmp_path}/x.ndjson", preexec_fn=_no_file_beyond_4_kib) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.wait_for("writing")
        for sequence in range(0, 3000, 30):
            send(port, [netflow5(30, sequence=sequence)])
        running.wait_for("target_lost")
        time.sleep(2.5)  # batches are handed on after a second at most: nothing is still to be written
        summary = running.stop()
    assert_adds_up(summary)
    assert [target["records_failed"] for target in summary["targets"]] == [0, 3000]


def _no_file_beyond_4_kib():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_wire_tables_have_a_directory_each(tmp_path):
    with collecting(*LOOPBACK, "--schema", "wire", "--to", f"parquet:{tmp_path}/out", "--to", f"{tmp_path}/x.ndjson") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.wait_for("writing")
        send(port, [netflow5(10), IPFIX_TEMPLATE, ipfix_data(5)])
        summary = running.stop()
    assert_adds_up(summary)
    formats = Counter(json.loads(line)["_type"] for line in (tmp_path / "x.ndjson").read_text().splitlines())
    assert formats == {"netflow_v5": 10, "ipfix": 5}
    found = {
        each.name: pl.read_parquet(f"{each}/**/*.parquet").height
        for each in (tmp_path / "out").iterdir()
        if each.name not in {".incomplete", "journal", "ledger"}
    }
    assert sorted(found.values()) == [5, 10]


def test_what_the_kernel_grants_is_said():
    with collecting(*LOOPBACK, "--to", "null:", "--rcvbuf", "1G") as running:
        listening = running.wait_for("listening")
        assert listening["rcvbuf_requested"] == 1 << 30
        if listening["rcvbuf_granted"] < 1 << 30:
            assert running.wait_for("receive_buffer")["mend"] == f"sysctl -w net.core.rmem_max={1 << 30}"
        running.wait_for("writing")
        running.stop()


def test_settings_come_from_file_and_environment(tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text(f'[collect]\nlisten = ["udp://127.0.0.1:0"]\nto = ["{tmp_path}/from-file.csv"]\n')
    for name, arguments, changes in [
        ("from-file.csv", ["--config", str(file)], {}),
        ("from-environment.csv", [], {"FLOWFAST_CONFIG": str(file), "FLOWFAST_CFG_COLLECT_TO": f"{tmp_path}/from-environment.csv"}),
        ("from-flag.csv", ["-c", str(file), "--to", f"{tmp_path}/from-flag.csv"], {"FLOWFAST_CFG_COLLECT_TO": "null:"}),
    ]:
        with collecting(*arguments, env=changes) as running:
            running.wait_for("writing")
            running.stop()
        assert (tmp_path / name).exists()


def test_on_a_terminal_it_speaks_to_people():
    main, terminal = pty.openpty()
    command = [*FLOWFAST, "collect", *LOOPBACK, "--to", "null:"]
    process = subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, env=environment({"TERM": "xterm", "COLUMNS": "160"}))
    os.close(terminal)
    shown = b""
    try:
        deadline = time.monotonic() + 20
        while b"records/s" not in shown and time.monotonic() < deadline:
            shown += os.read(main, 65536)
        process.send_signal(signal.SIGINT)
        while chunk := _read(main):
            shown += chunk
        assert process.wait(20) == 0
    finally:
        process.kill()
        os.close(main)
    text = shown.decode()
    assert "listening on udp://127.0.0.1:" in text
    assert "0 datagrams/s  0 records/s  0 exporters  lost: nothing" in text
    assert "0 datagrams received, 0 records decoded" in text
    assert "{" not in text


def test_a_terminal_that_goes_stops_nothing(tmp_path):
    main, terminal = pty.openpty()
    command = [*FLOWFAST, "collect", *LOOPBACK, "--to", tmp_path / "x.csv", "--http", "off"]
    process = subprocess.Popen(command, stderr=terminal, env=environment({"TERM": "xterm", "COLUMNS": "160"}))
    os.close(terminal)
    shown = b""
    try:
        while b"records/s" not in shown:
            shown += os.read(main, 65536)
        os.close(main)
        time.sleep(1.2)  # the next lines find nobody
        assert process.poll() is None
        send(int(re.search(rb"udp://127\.0\.0\.1:(\d+)", shown)[1]), [netflow5(30)])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 1 + 30


def _read(descriptor):
    """What a terminal shows, or nothing once its last writer has left."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
