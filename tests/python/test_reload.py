import itertools
import json
import os
import signal
import threading
import time

import polars as pl
import pytest
from reloading import reload_under_load, settings
from support import collecting, netflow5, send
from trials import sized, trial

from flowfast.config import Settings
from flowfast.reload import LIVE, plan

LOOPBACK = ("--listen", "udp://127.0.0.1:0")


@trial
@pytest.mark.parametrize("journal", ["off", "on"])
def test_reloads_under_load_lose_nothing(journal, tmp_path, figures):
    reloads = int(os.environ.get("FLOWFAST_RELOADS", sized("10", "100")))
    figures(reloads=reloads, records=reload_under_load(tmp_path, reloads, journal=journal), lost=0)


def test_the_journal_stays_where_it_is(tmp_path):
    def settings_of(*targets, **more):
        return Settings.model_validate({"to": [f"parquet:{tmp_path}/{name}" for name in targets] or ["null:"], **more})

    before = settings_of("one", "two")
    assert plan(before, settings_of("one"), journaled=True).changed == ("to",)
    assert plan(before, settings_of("one", "three"), journaled=True).changed == ("to",)
    assert plan(before, settings_of("two"), journaled=True).refused == ("to",)
    assert plan(before, settings_of(), journaled=True).refused == ("to",)
    elsewhere = {"journal-dir": tmp_path / "journal"}
    assert plan(settings_of("one", **elsewhere), settings_of("two", **elsewhere), journaled=True).changed == ("to",)
    assert plan(before, settings_of("one", **elsewhere), journaled=True).refused == ("journal-dir",)


def test_with_a_journal_targets_come_and_go_and_each_has_whole_intervals(tmp_path):
    file = tmp_path / "flowfast.toml"
    targets = itertools.cycle([["parquet", "arrow"], ["parquet"], ["parquet", "ndjson"]])
    file.write_text(settings(tmp_path, next(targets), "on", rotate="1h"))
    sent, done = itertools.count(), threading.Event()
    with collecting("-c", file) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")

        def load() -> None:
            while not done.is_set():
                send(port, [netflow5(10, sequence=10 * next(sent)) for _ in range(5)])
                time.sleep(0.005)

        loader = threading.Thread(target=load)
        loader.start()
        try:
            for _ in range(7):
                file.write_text(settings(tmp_path, next(targets), "on", rotate="1h"))
                running.process.send_signal(signal.SIGHUP)
                assert running.wait_for("reloaded")["changed"] == ["to"]
        finally:
            done.set()
            loader.join()
        summary = running.stop()
    expected = 10 * next(sent)
    assert summary["counters"]["records_decoded"] == expected
    rows = pl.read_parquet(f"{tmp_path}/parquet/flows/**/*.parquet")
    assert (rows.height, rows["sequence_num"].n_unique()) == (expected, expected // 10)  # a target all the time
    others = pl.concat([pl.read_ipc(path) for path in tmp_path.glob("arrow/flows/**/*.arrow")])
    assert 0 < others.height < expected
    assert others.height == 10 * others["sequence_num"].n_unique()
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("journal/[0-9]*.pcap"))
    assert not list(tmp_path.rglob("*.manifest"))


def test_whom_to_hear_changes_at_once(tmp_path):
    file = tmp_path / "flowfast.toml"

    def write(more: str) -> None:
        file.write_text(f"[collect]\nto = ['null:']\nlisten = ['udp://127.0.0.1:0']\n{more}")

    write("deny = ['127.0.0.0/8']\n")
    with collecting("-c", file) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send(port, [netflow5(10)] * 3)
        time.sleep(0.3)
        for more, changed, refused in (
            ("", ["deny"], None),
            ("[limits]\ndatagrams-per-second = 1\n", ["limits"], None),
            ("allow = ['192.0.2.1']\n[limits]\ntemplates = 7\n", ["allow", "limits"], "limits"),
        ):
            write(more)
            running.process.send_signal(signal.SIGHUP)
            if refused:
                assert running.wait_for("setting_needs_restart")["setting"] == refused
            assert running.wait_for("reloaded")["changed"] == changed
            time.sleep(0.3)
            send(port, [netflow5(10)] * 3)
            time.sleep(0.3)
        counters = running.stop()["counters"]
    assert counters["datagrams_received"] == 12
    assert counters["datagrams_discarded"] == {"acl": 6, "rate_limited": 2}
    assert counters["records_decoded"] == 10 * 4


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("[collect\n", "cannot read"),
        ("[collect]\nrotat = '5m'\n", "unknown setting `rotat`"),
        ("[collect]\nto = ['parquet:/proc/nowhere']\nrotate = '5m'\n", "cannot write to parquet:/proc/nowhere"),
        ("[collect]\ncolumns = ['nonsense']\n", "nonsense"),
        (None, "cannot read"),
    ],
)
def test_a_bad_file_leaves_everything_as_it_was(bad, sentence, tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text(settings(tmp_path, ["arrow"]))
    with collecting("-c", file) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        if bad is None:
            file.unlink()
        else:
            file.write_text(bad)
        running.process.send_signal(signal.SIGHUP)
        refused = running.wait_for("reload_refused")
        assert sentence in refused["message"]
        assert "nothing has changed" in refused["message"]
        send(port, [netflow5(10)])
        summary = running.stop()
    assert [target["target"] for target in summary["targets"]] == [f"arrow:{tmp_path}/arrow"]
    assert summary["targets"][0]["records_written"] == 10


def test_what_needs_a_restart_is_said_and_stays(tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text("[collect]\nto = ['null:']\nlisten = ['udp://127.0.0.1:0']\nhttp = 'off'\n")
    with collecting("-c", file) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        file.write_text(f"[collect]\nto = ['{tmp_path}/x.ndjson']\nlisten = ['udp://127.0.0.1:9']\nhttp = 'off'\nworkers = 3\n")
        running.process.send_signal(signal.SIGHUP)
        assert running.wait_for("setting_needs_restart")["setting"] == "listen"
        assert running.wait_for("setting_needs_restart")["setting"] == "workers"
        assert running.wait_for("reloaded")["changed"] == ["to"]
        send(port, [netflow5(10)])
        running.stop()
    assert len((tmp_path / "x.ndjson").read_text().splitlines()) == 10


def test_flags_and_environment_go_over_the_reloaded_file(tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text("[collect]\nto = ['null:']\nrotate = '60s'\n")
    flags = ("-c", file, *LOOPBACK, "--rotate", "1h")
    with collecting(*flags, env={"FLOWFAST_CFG_COLLECT_TO": "null:"}) as running:
        running.wait_for("writing")
        file.write_text("[collect]\nto = ['nonsense:']\nrotate = 'nonsense'\n")
        file.write_text(f"[collect]\nto = ['arrow:{tmp_path}/x']\nrotate = '5m'\n")
        running.process.send_signal(signal.SIGHUP)
        assert running.wait_for("reloaded")["changed"] == []
        running.stop()


def test_every_setting_is_live_or_needs_a_restart():
    assert set(LIVE) < set(Settings.model_fields)
    before, after = Settings(), Settings.model_validate({"rotate": "5m", "lenient": True, "when-full": "block", "http": "off"})
    its = plan(before, after)
    assert (its.changed, its.refused) == (("rotate", "when-full"), ("lenient", "http"))
    assert (its.settings.rotate, its.settings.when_full, its.settings.lenient) == (300, "block", False)
    assert plan(its.settings, its.settings).changed == ()


def test_sigusr1_commits_the_files_now(tmp_path):
    with collecting(*LOOPBACK, "--to", f"parquet:{tmp_path}/out", "--rotate", "1h") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        for turn in range(3):
            send(port, [netflow5(30, sequence=30 * turn)])
            time.sleep(0.2)
            running.process.send_signal(signal.SIGUSR1)
            running.wait_for("rotating")
            deadline = time.monotonic() + 20
            while len(list(tmp_path.rglob("flows-*.parquet"))) <= turn:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        summary = running.stop()
    assert summary["targets"][0]["files_written"] == 3
    assert pl.read_parquet(f"{tmp_path}/out/flows/**/*.parquet").height == 90


def test_a_target_that_leaves_is_closed(tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text(f"[collect]\nto = ['null:', '{tmp_path}/first.ndjson']\n")
    with collecting("-c", file, *LOOPBACK) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        running.wait_for("writing")
        send(port, [netflow5(10)])
        deadline = time.monotonic() + 20
        while not any(path.stat().st_size for path in tmp_path.glob(".first*")):  # the target has the rows
            assert time.monotonic() < deadline
            time.sleep(0.02)
        file.write_text("[collect]\nto = ['null:']\n")
        running.process.send_signal(signal.SIGHUP)
        closed = running.wait_for("target_closed")
        assert (closed["target"], closed["records_written"]) == (f"{tmp_path}/first.ndjson", 10)
        assert len((tmp_path / "first.ndjson").read_text().splitlines()) == 10
        running.stop()
    assert json.loads((tmp_path / "first.ndjson").read_text().splitlines()[0])["bytes"] == 100
