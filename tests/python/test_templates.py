"""What is known of templates: of a collector that runs, and of the journal that it leaves."""

import http.client
import json
import socket
import struct
import time
from contextlib import closing

import pytest
from support import IPFIX_TEMPLATE, collecting, ipfix_data, pcap, run

from oracle import exporter

OPTIONS_TEMPLATE = struct.pack(">HHIII", 10, 16 + 18, 1_790_000_000, 0, 7) + struct.pack(">HHHHHHHHH", 3, 18, 300, 2, 1, 10, 4, 82, 65535)


def ask(port: int, path: str):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


@pytest.mark.parametrize(("listen", "address"), [("127.0.0.1", "127.0.0.1"), ("[::]", "127.0.0.3")])
def test_templates_and_their_use_are_listed(listen, address, tmp_path):
    # FF-TL-11: exporter, source port, collector address, port, domain id, template id, definition and last received, with a journal
    # and of a collector that runs.
    out = tmp_path / "out"
    flags = ("--listen", f"udp://{listen}:0", "--to", f"parquet:{out}", "--rotate", "1h", "--http", "127.0.0.1:0")
    with collecting(*flags) as running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        http_port = int(running.wait_for("serving")["address"].rpartition(":")[2])
        port = running.wait_for("listening")["port"]
        sender.bind(("127.0.0.1", 0))
        collector = (address, port)  # of `::`, one of many
        began_ns = time.time_ns()
        # One set in the message that brings the template, and three in messages of their own.
        first = bytearray(IPFIX_TEMPLATE + ipfix_data(2)[16:])
        struct.pack_into(">H", first, 2, len(first))
        for datagram in (bytes(first), *(ipfix_data(2, sequence=2 * n) for n in (1, 2, 3)), OPTIONS_TEMPLATE):
            sender.sendto(datagram, collector)
        deadline = time.monotonic() + 20
        while len(listed := ask(http_port, "/templates")) < 2:
            assert time.monotonic() < deadline
        data, options = sorted(listed, key=lambda each: each["template_id"])
        assert began_ns <= data.pop("refreshed_ns") <= data.pop("used_ns") <= time.time_ns()
        assert data == {
            "exporter": "127.0.0.1",
            "exporter_port": sender.getsockname()[1],
            "local_address": address,
            "local_port": port,
            "format": "ipfix",
            "domain": 7,
            "template_id": 256,
            "kind": "data",
            "scope_count": 0,
            "fields": [
                {"name": "sourceIPv4Address", "element": "0:8", "length": 4},
                {"name": "destinationIPv4Address", "element": "0:12", "length": 4},
                {"name": "octetDeltaCount", "element": "0:1", "length": 8},
            ],
            "flow_keys": [],
            "sets": 4,
        }
        assert (options["kind"], options["scope_count"], options["sets"], options["used_ns"]) == ("options", 1, 0, None)
        shown = run("templates", "--http", f"127.0.0.1:{http_port}").stdout.splitlines()
        whose = f"127.0.0.1:{sender.getsockname()[1]} to {address}:{port}, ipfix domain 7, "
        assert shown[0].startswith(f"{whose}template 256, 3 fields, last seen ")
        assert ", used for 4 data sets, the last " in shown[0]
        assert shown[2].endswith(", not used yet")
        assert shown[3:] == ["    options of ingressInterface 4: interfaceName variable", "2 templates known"]
        running.stop()
    # What was known is in the journal, and so is how much it was used.
    for directory in (out, out / "journal"):
        lines = run("templates", directory).stdout.splitlines()
        assert f" to port {port}, ipfix domain 7, template 256, 3 fields, last seen " in lines[0]
        assert ", used for 4 data sets, the last " in lines[0]
    (each, _) = json.loads(run("templates", out, "--json").stdout)
    assert (each["local_address"], each["sets"]) == (None, 4)


def test_where_nothing_is_known(tmp_path):
    assert run("templates", tmp_path / "nowhere").returncode == 1
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        done = run("templates", "--http", f"127.0.0.1:{nobody.getsockname()[1]}")
    assert done.returncode == 1
    assert "no collector answers" in done.stderr


def test_flow_keys_are_marked(tmp_path):
    # FF-OT-03: bits 0 and 2 of the flowKeyIndicator are the first and the third field.
    fields = [exporter.Field(8, 4), exporter.Field(1, 8), exporter.Field(4, 1)]
    options = exporter.options_template(300, 1, exporter.Field(145, 2), exporter.Field(173, 8))
    indicator = exporter.a_set(300, struct.pack(">HQ", 256, 0b101))
    message = exporter.ipfix(exporter.templates(exporter.template(256, *fields)), exporter.options_templates(options), indicator)
    (tmp_path / "templates-0.pcap").write_bytes(pcap([message]))
    lines = run("templates", tmp_path).stdout.splitlines()
    assert "    sourceIPv4Address 4 key, octetDeltaCount 8, protocolIdentifier 1 key" in lines
    listed = json.loads(run("templates", tmp_path, "--json").stdout)
    assert {each["template_id"]: each["flow_keys"] for each in listed} == {256: [0, 2], 300: []}
