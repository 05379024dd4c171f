import configparser
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import FLOWFAST, Collecting, collecting, environment, netflow5, send

from flowfast.systemd import Notifier, inherited_sockets

PACKAGING = Path(__file__).parents[2] / "packaging"
LOOPBACK = ("--listen", "udp://127.0.0.1:0", "--to", "null:")


@pytest.fixture
def manager(tmp_path):
    """A socket that hears what a service manager hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        yield listener


def hear(manager, wanted, seen=None):
    """Read until a message has a line that starts so; its lines."""
    while True:
        lines = manager.recv(65536).decode().splitlines()
        if seen is not None:
            seen += lines
        if any(line.startswith(wanted) for line in lines):
            return lines


def test_a_service_manager_is_told(manager):
    with collecting(*LOOPBACK, env={"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "2000000"}) as running:
        assert hear(manager, "READY=1")[1].startswith("STATUS=0 datagrams/s")
        hear(manager, "WATCHDOG=1")
        hear(manager, "STATUS=")
        running.process.send_signal(signal.SIGHUP)
        reloading = hear(manager, "RELOADING=1")
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[1])
        hear(manager, "READY=1")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("summary")


def test_the_watchdog_goes_unfed_when_nothing_moves(manager):
    with collecting(*LOOPBACK, env={"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000"}) as running:
        hear(manager, "WATCHDOG=1")
        running.process.send_signal(signal.SIGSTOP)  # as stuck as can be
        manager.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                manager.recv(65536)
        running.process.send_signal(signal.SIGCONT)
        manager.settimeout(20)
        hear(manager, "WATCHDOG=1")
        running.stop()


def test_an_abstract_address_and_nobody_listening():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"flowfast-test-{os.getpid()}"
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).status("two\nlines")
        assert listener.recv(100) == b"STATUS=two lines"
    Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready("nobody hears")
    Notifier({}).ready("nobody is there")


@pytest.mark.parametrize(
    ("given", "patience_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_s_patience(given, patience_s):
    given = {"NOTIFY_SOCKET": "/nowhere"} | given
    assert Notifier(given).watchdog_s == patience_s
    assert not given  # child processes are not the service


def test_which_sockets_are_inherited():
    me = str(os.getpid())
    assert inherited_sockets({"LISTEN_PID": me, "LISTEN_FDS": "2"}) == [(3, "any"), (4, "any")]
    named = {"LISTEN_PID": me, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "sflow:flowfast.socket:netflow"}
    assert inherited_sockets(named) == [(3, "sflow"), (4, "any"), (5, "netflow")]
    assert not named
    for other in ({}, {"LISTEN_FDS": "2"}, {"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_PID": me, "LISTEN_FDS": "x"}):
        assert inherited_sockets(other) == []


ACTIVATE = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
for target, fd in enumerate(fds, 3):
    os.dup2(fd, target)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds))}
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_sockets_of_a_service_manager_take_the_place_of_listen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        given = [first, second]
        for each in given:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in given]
        send(ports[0], [netflow5(10)])  # before anybody runs
        high = [os.dup(each.fileno()) for each in given]
        command = [sys.executable, "-c", ACTIVATE, ",".join(map(str, high)), *FLOWFAST, "collect", "--to", "null:", "--http", "off"]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=environment({"FLOWFAST_CFG_COLLECT_LISTEN": "udp://127.0.0.1:1"}), pass_fds=high
        )
        for each in high:
            os.close(each)
    running = Collecting(process)
    try:
        listening = [running.wait_for("listening") for _ in given]
        assert [each["port"] for each in listening] == ports
        assert [each["workers"] for each in listening] == [1, 1]
        running.wait_for("writing")
        send(ports[1], [netflow5(20)])
        summary = running.stop()
    finally:
        process.kill()
        process.wait()
        running.rest()
        process.stderr.close()
    assert summary["counters"]["records_decoded"] == 30


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_systemd_s_own_activation_keeps_the_first_datagram(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["systemd-socket-activate", "-d", "-l", f"127.0.0.1:{port}", "-E", "PATH", "-E", "PYTHONPATH"]
    command += [*FLOWFAST, "collect", "--to", str(tmp_path / "x.ndjson"), "--http", "off"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        for line in process.stderr:
            if "Listening on" in line:
                break
        send(port, [netflow5(10)])
        for line in process.stderr:
            if '"event": "writing"' in line:
                break
        send(port, [netflow5(20)])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    rows = [json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines()]
    assert len(rows) == 30


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str
    parser.read(PACKAGING / "systemd" / name)
    return parser


def test_the_unit_uses_what_flowfast_has():
    service = unit("flowfast.service")["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["ExecStart"].split()[1:] == ["collect"]
    assert "FLOWFAST_CFG_COLLECT_TO" in service["Environment"]
    assert float(service["WatchdogSec"]) > 2 * 10  # twice the patience of flowfast itself (`STALL_S`)


@pytest.fixture
def units(tmp_path):
    """The units, of a program that is there."""
    for source in (PACKAGING / "systemd").iterdir():
        (tmp_path / source.name).write_text(source.read_text().replace("/usr/bin/flowfast", "/bin/true"))
    return tmp_path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(units):
    command = ["systemd-analyze", "verify", "--man=no", units / "flowfast.service", units / "flowfast.socket"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_hardened(units):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", units / "flowfast.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "OK" in done.stdout.splitlines()[-1]


def test_the_sysctl_file_allows_the_default_receive_buffer():
    settings = dict(re.findall(r"^([a-z.0-9_]+) = (\d+)$", (PACKAGING / "sysctl.d/60-flowfast.conf").read_text(), re.MULTILINE))
    assert int(settings["net.core.rmem_max"]) == 32 << 20
    for name in settings:
        assert Path("/proc/sys", *name.split(".")).exists() or not Path("/proc/sys/net/core").exists()
