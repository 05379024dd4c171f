import importlib.util
import ipaddress
import random
import shlex
import socket
import subprocess
import tomllib
from pathlib import Path

import duckdb
import pytest
from support import FLOWFAST, environment, netflow5, pcap, run

import flowfast
from flowfast.config import load
from flowfast.counters import COUNTERS, LABELS

DOCS = Path(__file__).parents[2] / "docs"
MACROS = DOCS.parent / "examples/duckdb_macros.sql"


def generator():
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(guide, language):
    """Code blocks of a guide."""
    parts = (DOCS / "guides" / guide).read_text().split("```")[1::2]
    return [part.partition("\n")[2] for part in parts if part.partition("\n")[0] == language]


def test_the_reference_is_fresh():
    assert generator().stale() == []


def test_every_counter_is_documented(tmp_path):
    (tmp_path / "x.pcap").write_bytes(pcap([netflow5(1)]))
    capture = flowfast.read(tmp_path / "x.pcap")
    list(capture)
    with flowfast.listen("udp://127.0.0.1:0") as listener:
        everything = capture.stats() | listener.stats() | flowfast.Decoder().stats()
    assert set(everything) <= set(COUNTERS)
    for name, value in everything.items():
        if isinstance(value, dict):
            labels = LABELS["sets_discarded" if name == "set_octets_discarded" else name]
            assert set(value) <= set(labels), name


@pytest.mark.parametrize("guide", sorted((DOCS / "guides").glob("*.md")), ids=lambda path: path.name)
def test_configuration_in_the_guides_is_valid(guide, tmp_path):
    for number, text in enumerate(blocks(guide.name, "toml")):
        assert tomllib.loads(text)
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        load({}, file, {})


@pytest.fixture
def captures(tmp_path, monkeypatch):
    """A directory with the files that the guides name, as the current one."""
    for name in ("monday.pcap", "tuesday.pcap", "wednesday.pcapng"):
        (tmp_path / name).write_bytes(pcap([netflow5(30)]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


PROGRAMS = [code for code in blocks("python.md", "python") if "listen" not in code]


@pytest.mark.parametrize("code", PROGRAMS, ids=range(len(PROGRAMS)))
@pytest.mark.usefixtures("captures")
def test_python_in_the_guides_runs(code):
    (table,) = flowfast.read("monday.pcap", schema="wire").tables()
    exec("import flowfast, polars as pl, pyarrow as pa\n" + code.replace('"..."', repr(table)), {"datagram": netflow5(1)})


COMMANDS = [line for block in blocks("captures.md", "") for line in block.splitlines() if line.startswith("flowfast ")]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("captures")
def test_commands_in_the_guides_run(command):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        command = command.replace("flowfast", shlex.join(FLOWFAST), 1).replace(":2055", f":{receiver.getsockname()[1]}")
        shell = ["bash", "-c", f"set -eo pipefail; {command}"]
        done = subprocess.run(shell, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_queries_in_the_guides_run(captures):
    assert run("convert", "monday.pcap", "--to", "parquet:flows").returncode == 0

    def adapted(code):
        return code.replace("/var/lib/flowfast", str(captures / "flows")).replace(
            "'2026-11-21' and hour = 12", "'2026-09-21' and hour = 14"
        )

    database = duckdb.connect()
    database.execute(MACROS.read_text())
    results = []
    for statement in blocks("query.md", "sql"):
        database.execute(adapted(statement))
        results.append(database.fetchall())
    assert results[1] == [("10.0.0.1", sum(range(100, 130)))]
    assert sum(row[-2] + row[-1] for row in results[2]) == sum(range(100, 130))
    (code,) = blocks("query.md", "python")
    exec(adapted(code), {})


def test_the_address_macros():
    database = duckdb.connect()
    database.execute(MACROS.read_text())
    chance = random.Random(1)
    for _ in range(300):
        v4 = ipaddress.IPv4Address(chance.getrandbits(32))
        v6 = ipaddress.IPv6Address(chance.getrandbits(128) & chance.getrandbits(128) & chance.getrandbits(128))
        network = ipaddress.ip_network((chance.choice([v4, ipaddress.IPv4Address(0)]), chance.randint(0, 32)), strict=False)
        mapped = bytes(10) + b"\xff\xff" + v4.packed
        query = "select ip_text(?::blob), ip_text(?::blob), ip4(?), in_net4(?::blob, ?), in_net4(?::blob, ?)"
        row = database.execute(query, [mapped, v6.packed, str(v4), mapped, str(network), v6.packed, str(network)]).fetchone()
        assert row[0] == str(v4)
        assert ipaddress.ip_address(row[1]) == v6
        assert row[2] == mapped
        assert row[3] == (v4 in network)
        assert not row[4]


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [(None, "cannot send"), (b"some text", "is not a little-endian pcap file"), (pcap([netflow5(1)]), "")],
)
def test_what_send_capture_cannot_send_is_one_sentence(octets, sentence, tmp_path):
    path = tmp_path / "x.pcap"
    if octets is not None:
        path.write_bytes(octets)
    done = subprocess.run(
        [FLOWFAST[0], DOCS.parent / "examples/send_capture.py", "udp://[::1]:2055", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
