import json
import socket
import time

import pytest
from support import IPFIX_TEMPLATE, collecting, ipfix_data, netflow5, run, send

from flowfast.commands.doctor import read_machine
from flowfast.doctor import Facts, Machine, examine, examine_machine
from flowfast.endpoint import Answer, Endpoint, HttpAddress

EXPORTER = {
    "exporter": "192.0.2.1",
    "format": "ipfix",
    "domain": 7,
    "datagrams": 1000,
    "records": 20_000,
    "lost": 0,
    "lost_unit": "records",
    "templates": 1,
    "last_seen_ns": 0,
    "clock_ahead_ms": -300,
    "sampling_source": "options",
    "sets_waiting": 0,
    "templates_redefined": 0,
    "sets_ambiguous": 0,
}
LISTENER = {"uri": "udp://[::]:2055", "rcvbuf_granted": 32 << 20, "rcvbuf_requested": 32 << 20}
WORKER = {"uri": "udp://[::]:2055", "worker": 0, "kernel_drops": 0}
TARGET = {"target": "parquet:/x", "failing": False, "records_failed": 0, "records_dropped": 0}


def kinds(facts):
    return [(finding.kind, finding.severity) for finding in examine(facts)]


def test_a_healthy_collector_has_no_findings():
    counters = {"workers": [WORKER], "records_dropped": {"queue_full": 0}, "datagrams_discarded": {"set_overrun": 0, "acl": 9}}
    assert kinds(Facts(counters, [LISTENER], [TARGET], [EXPORTER])) == []
    assert kinds(Facts()) == []


@pytest.mark.parametrize(
    ("changes", "kind", "severity", "says"),
    [
        ({"clock_ahead_ms": 3_600_000}, "clock_skew", "problem", "60 minutes ahead of"),
        ({"clock_ahead_ms": -172_800_000}, "clock_skew", "problem", "2 days behind"),
        ({"sets_waiting": 3}, "template_missing", "problem", "3 data sets waiting"),
        ({"templates_redefined": 2}, "template_conflict", "note", "redefined 2 times"),
        ({"sets_ambiguous": 1}, "template_conflict", "problem", "1 data set that could be either"),
        ({"sampling_source": "none"}, "sampling_unknown", "note", "no sampling rate"),
        ({"lost": 5000}, "sequence_gaps", "problem", "20.00% of what it sent"),
        ({"lost": 250, "lost_unit": "packets"}, "sequence_gaps", "problem", "20.00%"),
    ],
)
def test_what_ails_an_exporter(changes, kind, severity, says):
    (finding,) = examine(Facts(exporters=[EXPORTER | changes]))
    assert (finding.kind, finding.severity) == (kind, severity)
    assert finding.about == "192.0.2.1 domain 7 (ipfix)"
    assert says in finding.message
    assert any("Cisco IOS: " in mend for mend in finding.mend)
    assert any("Junos: " in mend for mend in finding.mend)


@pytest.mark.parametrize(
    "changes", [{"clock_ahead_ms": None}, {"clock_ahead_ms": 9_000}, {"lost": 10}, {"records": 0, "sampling_source": "none"}]
)
def test_what_is_as_it_should_be(changes):
    assert kinds(Facts(exporters=[EXPORTER | changes])) == []


@pytest.mark.parametrize(
    ("facts", "kind", "says"),
    [
        (Facts(listeners=[LISTENER | {"rcvbuf_granted": 212_992}]), "receive_buffer", "208 KiB"),
        (Facts(counters={"workers": [WORKER | {"kernel_drops": 12}]}), "kernel_drops", "12 datagrams"),
        (Facts(counters={"records_dropped": {"queue_full": 7}}), "queue_full", "7 rows"),
        (Facts(counters={"datagrams_discarded": {"set_overrun": 4, "count_zero": 0}}), "discarded", "set_overrun 4"),
        (Facts(counters={"sets_discarded": {"no_template": 2}}), "sets_discarded", "2 data sets"),
        (Facts(targets=[TARGET | {"failing": True, "records_failed": 9}]), "target_failing", "9 rows"),
        (Facts(targets=[TARGET | {"records_failed": 9}]), "target_failed", "9 rows"),
        (Facts(targets=[TARGET | {"records_dropped": 9}]), "target_slow", "9 rows"),
    ],
)
def test_what_ails_the_collector(facts, kind, says):
    (finding,) = examine(facts)
    assert (finding.kind, finding.severity) == (kind, "problem")
    assert says in finding.message
    assert finding.mend


def test_what_the_settings_refuse_is_no_fault():
    (finding,) = examine(Facts(counters={"datagrams_discarded": {"acl": 9, "rate_limited": 5, "held": 3, "set_overrun": 0}}))
    assert (finding.kind, finding.severity) == ("refused", "note")
    assert finding.message == "8 datagrams refused by `[limits]`: rate_limited 5, held 3"


def test_this_machine(tmp_path):
    (tmp_path / "sys/net/core").mkdir(parents=True)
    (tmp_path / "net").mkdir()
    (tmp_path / "sys/net/core/rmem_max").write_text("212992\n")
    (tmp_path / "sys/net/core/netdev_max_backlog").write_text("1000\n")
    (tmp_path / "net/snmp").write_text("Udp: InDatagrams NoPorts RcvbufErrors\nUdp: 10 1 5\nUdpLite: InDatagrams\nUdpLite: 0\n")
    machine = read_machine(tmp_path)
    assert machine == Machine(rmem_max=212_992, backlog=1000, udp_buffer_errors=5)
    found = list(examine_machine(machine, 32 << 20))
    assert [(each.kind, each.severity) for each in found] == [
        ("receive_buffer", "problem"),
        ("backlog", "note"),
        ("udp_buffer_errors", "note"),
    ]
    assert found[0].mend[0] == "sysctl -w net.core.rmem_max=33554432"
    assert list(examine_machine(Machine(rmem_max=32 << 20, backlog=10_000, udp_buffer_errors=0), 32 << 20)) == []
    assert read_machine(tmp_path / "nowhere") == Machine()


def test_an_exporter_s_name_cannot_steer_the_terminal():
    (finding,) = examine(Facts(exporters=[EXPORTER | {"exporter": "\x1b[2J\u202e", "sets_waiting": 1}]))
    assert finding.about == r"\x1b[2J\u202e domain 7 (ipfix)"


def test_a_collector_that_runs():
    with collecting("--listen", "udp://127.0.0.1:0", "--to", "null:", "--http", "127.0.0.1:0") as running:
        address = running.wait_for("serving")["address"]
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        # Of a template that nobody sent, with an export time of long before this test was run or after, and a gap.
        old = 1_000_000_000
        send(port, [netflow5(30, unix_s=old), netflow5(30, sequence=90, unix_s=old), IPFIX_TEMPLATE, ipfix_data(5, template=999)])
        deadline = time.monotonic() + 20
        wanted = {"clock_skew", "sequence_gaps", "template_missing"}
        found: set[str] = set()
        while not wanted <= found:
            assert time.monotonic() < deadline, found
            done = run("doctor", "--http", address, "--json")
            found = {finding["kind"] for finding in json.loads(done.stdout)["findings"]}
        assert done.returncode == 1
        assert json.loads(done.stdout)["collector"] is True
        shown = run("doctor", "--http", address).stdout
        assert f"examined the collector at http://{address}" in shown
        assert (
            "problem: 127.0.0.1 domain 0 (netflow_v5): 50.00% of what it sent did not arrive: 60 records by its sequence numbers" in shown
        )
        assert "  mend: Cisco IOS: ntp server ADDRESS" in shown
        running.stop()


def test_no_collector_and_something_else():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = run("doctor", "--http", f"127.0.0.1:{port}", "--json")
    assert json.loads(done.stdout)["collector"] is False
    assert done.returncode in (0, 1)
    assert "this machine, for no collector answers" in run("doctor", "--http", "off").stdout
    for other in (Answer.text("hello"), Answer.json([]), Answer.json({"counters": 1})):
        with Endpoint(HttpAddress("127.0.0.1", 0), {"/stats": lambda _, other=other: other}) as endpoint:
            done = run("doctor", "--http", str(endpoint.address))
        assert done.returncode == 1
        assert "is no flowfast" in done.stderr
        assert "hint: " in done.stderr
