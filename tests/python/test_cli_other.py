"""`generate`, `schema`, `check-config`, `--version` and `--help`."""

import json
import re
import socket
import tomllib

import pytest
from support import run

import flowfast


@pytest.mark.parametrize("format", ["v5", "v9", "ipfix", "sflow"])
def test_generated_captures_convert_back_to_the_same_count(format, tmp_path):
    path = tmp_path / "x.pcap"
    done = run("generate", "--write", path, "--format", format, "--count", 5000, "--exporters", 3, "--seed", 7)
    assert done.returncode == 0, done.stderr
    sent = json.loads(done.stdout)
    assert sent["flows"] == 5000
    converted = run("convert", path, "--to", "null:")
    assert "5,000 records decoded" in converted.stderr
    assert "discarded" not in converted.stderr
    again = tmp_path / "again.pcap"
    run("generate", "--write", again, "--format", format, "--count", 5000, "--exporters", 3, "--seed", 7)
    assert again.read_bytes() == path.read_bytes()


def test_generate_to_a_port_that_nobody_listens_on_says_so():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"udp://127.0.0.1:{closed.getsockname()[1]}"
    done = run("generate", "--to", uri, "--count", 20000, "--format", "v5")
    assert re.fullmatch(rf"warning: [\d,]+ datagrams? at least found nobody who listens on {uri}\n", done.stderr)
    assert json.loads(done.stdout)["send_errors"] > 0


def test_generate_to_a_socket():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        done = run("generate", "--to", f"udp://127.0.0.1:{receiver.getsockname()[1]}", "--count", 100, "--format", "v5")
        assert done.returncode == 0, done.stderr
        assert receiver.recv(65536)[:2] == b"\0\5"
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["flows"] == 100


def test_schema_lists_the_columns():
    rows = json.loads(run("schema", "--json").stdout)
    assert {"name", "group", "type", "elements", "doc"} <= set(rows[0])
    names = [row["name"] for row in rows]
    assert {"src_addr", "bytes", "time_flow_start", "bytes_scaled"} <= set(names)
    assert all(row["doc"] for row in rows)
    table = run("schema", "--columns", "minimal").stdout
    assert "src_addr" in table
    assert "bytes_scaled" not in table


def test_schema_of_elements_of_the_registry():
    (row,) = json.loads(run("schema", "--json", "--columns", "exporterIPv4Address").stdout)
    assert row["name"] == "exporterIPv4Address"


def test_check_config_dumps_what_is_in_effect(tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text('[collect]\nrotate = "5m"\n')
    done = run("check-config", "--config", file, "--dump", env={"FLOWFAST_CFG_COLLECT_WORKERS": "4"})
    settings = tomllib.loads(done.stdout)["collect"]
    assert (settings["rotate"], settings["workers"], settings["when-full"]) == (300, 4, "drop")
    assert run("check-config", "--config", file).stdout == f"{file}: in order\n"
    assert run("check-config").stdout == "no configuration file: in order\n"


def test_version_and_help():
    assert run("--version").stdout == f"flowfast {flowfast.__version__}\n"
    help_text = run("--help").stdout
    for command in ("collect", "convert", "generate", "check-config", "schema"):
        assert command in help_text
        assert run(command, "--help").returncode == 0


def test_bench_decode_reports_figures_for_machines_and_for_people():
    fixed = ("bench", "decode", "--records", 2000, "--runs", 2)
    done = run(*fixed, "--template", "set-a", "--order", "worst", "--kernel", "plain", "--exporters", 3, "--templates", 2, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["template"], report["order"], report["kernel"], report["lost"]) == ("set-a", "worst", "plain", 0)
    assert report["records"] >= 2000
    assert report["records_per_cpu_second"] == pytest.approx(report["records"] / report["cpu_seconds"], rel=0.01)
    assert report["ns_per_record"] == pytest.approx(1e9 * report["cpu_seconds"] / report["records"], rel=0.01)
    assert min(report[f"{name}_ns_per_record"] for name in ("floor", "baseline", "reference")) > 0
    printed = run(*fixed, "--template", "v5").stdout
    assert "M records per CPU-second" in printed
    assert len(printed.splitlines()) == 5  # nothing to compare it with
    assert "ns from one exporter with one template: this is" in run(*fixed, "--exporters", 2).stdout
    assert "ns in canonical order: this is" in run(*fixed, "--order", "worst").stdout


def test_bench_decode_of_a_capture(tmp_path):
    path = tmp_path / "x.pcap"
    run("generate", "--write", path, "--format", "v9", "--count", 500)
    report = json.loads(run("bench", "decode", "--capture", path, "--records", 1, "--runs", 1, "--json").stdout)
    assert (report["records"], report["lost"], report["template"], report["reference_ns_per_record"]) == (500, 0, None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--template", "v6"], "unknown template `v6`"),
        (["--kernel", "gpu"], "hint: kernels are auto, scalar, plain"),
        (["--template", "v5", "--order", "worst"], "hint: "),
        (["--capture", "/nonexistent"], "cannot read /nonexistent"),
        (["--capture", "/nonexistent", "--template", "ipfix-25"], "hint: leave out `--template` or `--capture`"),
        (["--capture", "/nonexistent", "--exporters", "2"], "which `--exporters` cannot change"),
    ],
)
def test_bench_decode_names_mistakes(options, said):
    done = run("bench", "decode", *options)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
