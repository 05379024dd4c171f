"""Every mistake a person can make is one sentence and a hint, never a traceback."""

import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest
from support import FLOWFAST, pcap, run

from flowfast.core_errors import bind_error

USAGE = 2
FAILED = 1

# arguments ({dir}: an empty directory, {pcap}: an empty capture, {file}: a file, {port}: a port in use), exit code, sentence, hint
MISTAKES = [
    ("collect --lisen udp://[::]:2055", USAGE, "unknown option `--lisen`", "did you mean `--listen`?"),
    ("colect", USAGE, "no such command `colect`", "did you mean `collect`"),
    ("collect --listen", USAGE, "`--listen` requires an argument", "--help"),
    ("convert", USAGE, "missing argument", "--help"),
    ("convert {pcap} --port http", USAGE, "invalid value for `--port`", "--help"),
    ("convert {pcap} --port 99999", USAGE, "invalid value for `--port`", "--help"),
    ("generate --count -1", USAGE, "invalid value for `--count`", "--help"),
    ("collect extra", USAGE, "unexpected extra argument", "--help"),
    ("collect --listen 2055", USAGE, "`2055` is no URI", "udp://[::]:2055"),
    ("collect --listen netflw://:2055", USAGE, "unknown scheme", "did you mean `netflow`?"),
    ("collect --listen udp://127.0.0.1:{port} --to null:", FAILED, "the port is in use", "choose another port"),
    ("collect --listen udp://192.0.2.77:0 --to null:", FAILED, "this machine does not have the address", "ip address"),
    ("collect --listen udp://no.such.host.invalid:2055 --to null:", USAGE, "no address found for `no.such.host.invalid`", "IP address"),
    ("collect --columns src_adr --to null:", USAGE, "unknown column `src_adr`", "did you mean `src_addr`?"),
    ("convert {pcap} --columns src_adr", USAGE, "unknown column `src_adr`", "did you mean `src_addr`?"),
    ("convert {pcap} --columns 9:99999", USAGE, "unknown column `9:99999`", "pen:id"),
    ("schema --columns src_adr", USAGE, "unknown column `src_adr`", "did you mean `src_addr`?"),
    ("collect --schema flow --to null:", USAGE, "--schema: `flow` is not one of flows, wire", "did you mean `flows`?"),
    ("collect --rotate 7m --to null:", USAGE, "--rotate: an hour is not a whole number of intervals", "such as 400s"),
    ("collect --rcvbuf lots --to null:", USAGE, "--rcvbuf: `lots` is no size", "--help"),
    ("collect --workers 0 --to null:", USAGE, "--workers", "--help"),
    ("collect --when-full wait --to null:", USAGE, "`wait` is not one of drop, block", "`block`"),
    ("collect --to parqet:out", USAGE, "`parqet:out` is no target", "did you mean `parquet`?"),
    ("collect --to {file}/out.parquet", FAILED, "not a directory", "choose another"),
    ("collect --to parquet:{file}", FAILED, "not a directory", "choose another"),
    ("collect --to {dir}/none/x.parquet", FAILED, "no such file or directory", "make the directory first"),
    ("collect --to {file}", FAILED, "file exists", "choose another name"),
    ("collect --schema wire --to {dir}/x.parquet", USAGE, "cannot hold the many tables of the wire schema", "parquet:DIR"),
    ("convert {pcap} --schema wire --columns bytes", USAGE, "only the flows schema has columns", "leave `columns` out"),
    ("collect --config {dir}/none.toml", USAGE, "cannot read {dir}/none.toml: no such file or directory", "--config"),
    ("check-config --config {file}", USAGE, "line 1, column 6", "example"),
    ("convert {dir}/none.pcap --to null:", FAILED, "cannot read {dir}/none.pcap: no such file or directory", "check the path"),
    ("convert {dir} --to null:", FAILED, "{dir}", ""),
    ("convert {file} --to null:", FAILED, "{file} is not a pcap or pcapng file", "zcat FILE | flowfast convert -"),
    ("convert {empty} --to null:", FAILED, "{empty} is empty", "tcpdump -w FILE"),
    ("convert {pcap} --to {dir}/none/x.parquet", FAILED, "no such file or directory", "make the directory first"),
    ("generate", USAGE, "nowhere to send to", "--to udp://127.0.0.1:2055"),
    ("generate --to {dir}/x.pcap", USAGE, "x.pcap` is no URI", "`--write FILE` writes a capture"),
    ("generate --to 127.0.0.1:2055", USAGE, "`127.0.0.1:2055` is no", "udp://127.0.0.1:2055"),
    ("generate --write {dir}/x.pcap --format v7", USAGE, "unknown format `v7`", "v5, v9, ipfix"),
    ("generate --write {dir}/x.pcap --order random", USAGE, "unknown order `random`", "canonical"),
    ("generate --write {dir}/x.pcap --template x", USAGE, "unknown template `x`", "ipfix-25"),
    ("generate --write {dir}/x.pcap --seed 99999999999999999999", USAGE, "invalid value for `--seed`", "--help"),
    ("generate --write {dir}/none/x.pcap", FAILED, "cannot export to {dir}/none/x.pcap: no such file or directory", "check the path"),
]


@pytest.fixture
def place(tmp_path):
    """What the placeholders stand for."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "x.pcap").write_bytes(pcap([]))
    (tmp_path / "x.csv").write_text("some text\n")
    (tmp_path / "empty.pcap").touch()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        files = {"pcap": tmp_path / "x.pcap", "file": tmp_path / "x.csv", "empty": tmp_path / "empty.pcap"}
        yield {"dir": tmp_path / "dir", **files, "port": taken.getsockname()[1]}


@pytest.mark.parametrize(("arguments", "code", "sentence", "hint"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_mistakes(arguments, code, sentence, hint, place):
    done = run(*arguments.format(**place).split())
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    hints = [line for line in lines if line.startswith("hint: ")]
    assert len(errors) == 1, done.stderr
    assert sentence.format(**place) in errors[0]
    assert hint in "".join(hints)
    assert bool(hints) or not hint
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(place["dir"].iterdir()), "a run that could not start left something behind"


@pytest.mark.parametrize(
    ("number", "sentence", "hint"),
    [
        (errno.EADDRINUSE, "the port is in use", "ss -lunp sport = :80"),
        (errno.EACCES, "no permission", "CAP_NET_BIND_SERVICE"),
        (errno.EADDRNOTAVAIL, "this machine does not have the address", "ip address"),
        (errno.EAFNOSUPPORT, "this machine has no IPv6", "udp://0.0.0.0"),
        (errno.EMFILE, "too many open files", ""),
    ],
)
def test_why_nothing_can_listen(number, sentence, hint):
    error = bind_error(OSError(number, os.strerror(number), "udp://[::]:80"), "")
    assert str(error) == f"cannot listen on udp://[::]:80: {sentence}"
    assert hint in error.hint
    assert isinstance(error, OSError)


@pytest.mark.parametrize("arguments", ["--version", "schema", "schema --json", "collect --help"])
def test_standard_output_that_cannot_be_written(arguments):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*FLOWFAST, *arguments.split()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (FAILED, "error: cannot write to standard output: no space left on the device")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "code"), [("--version", 0), ("schema --json", 0), ("convert {pcap} --to -", FAILED)])
def test_standard_output_that_is_closed(arguments, code, place):
    command = " ".join([*FLOWFAST, *arguments.format(**place).split()])
    done = subprocess.run(f"{command} >&-", shell=True, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert ("error: cannot write to -: standard output is closed\nhint: " in done.stderr) == (code == FAILED)
    assert "Traceback" not in done.stderr
