"""Collectors that `flowfast bench lossless` can start, end, and ask how many flows they have stored.

A target is a command line: its first word says which collector, the rest are flags of its own.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
from collections.abc import Callable, Sequence
from csv import DictReader
from pathlib import Path
from typing import Protocol

from flowfast.commands.bench.processes import ProcessFailed, run
from flowfast.commands.bench.stream import COLLECT
from flowfast.errors import UsageError

RECEIVE_BUFFER = 32 << 20
"""Asked for by every collector that can be told."""


class Adapter(Protocol):
    """How to run one collector, in a directory that is its own for a trial."""

    name: str

    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on 127.0.0.1."""

    def stop(self, pid: int, port: int) -> None:
        """Have it write what it holds and end."""

    def count(self, directory: Path, output: str) -> int:
        """Flows stored, once it has ended. Raises ProcessFailed if that cannot be known."""


class Terminated:
    """What most collectors share: SIGTERM ends them."""

    def stop(self, pid: int, port: int) -> None:
        """Have it write what it holds and end."""
        os.kill(pid, signal.SIGTERM)


class Flowfast(Terminated):
    """`self`: `flowfast collect`, to `null:` unless its flags say where."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = list(flags) if "--to" in flags else ["--to", "null:", *flags]
        self.name = " ".join(["flowfast", *self._flags])

    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on 127.0.0.1."""
        return [*COLLECT, "--listen", f"udp://127.0.0.1:{port}", *self._flags]

    def count(self, directory: Path, output: str) -> int:
        """Rows written, as its summary says."""
        summaries = [line for line in output.splitlines() if '"event": "summary"' in line]
        if not summaries:
            raise ProcessFailed(f"`{self.name}` wrote no summary: {' '.join(output.split())[-300:]}")
        return min(int(target["records_written"]) for target in json.loads(summaries[-1])["targets"])


class Nfcapd(Terminated):
    """nfcapd, counted by nfdump."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = list(flags)
        self.name = " ".join(["nfcapd", *flags])

    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on 127.0.0.1."""
        return ["nfcapd", "-w", ".", "-p", str(port), "-b", "127.0.0.1", "-t", "3600", "-B", str(RECEIVE_BUFFER), *self._flags]

    def count(self, directory: Path, output: str) -> int:
        """Flows in its files."""
        told = [run(["nfdump", "-I", "-r", path.name], directory) for path in directory.glob("nfcapd.*")]
        return sum(int(flows) for text in told for flows in re.findall(r"^Flows: (\d+)", text, re.MULTILINE))


class Goflow2(Terminated):
    """goflow2, writing protobuf messages to a file, each behind its length."""

    _FLAGS = ("-transport=file", "-transport.file=flows", "-format=bin", "-transport.file.sep=", "-addr=")

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = list(flags)
        self.name = " ".join(["goflow2", *flags])

    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on 127.0.0.1."""
        return ["goflow2", f"-listen=netflow://127.0.0.1:{port}", *self._FLAGS, *self._flags]

    def count(self, directory: Path, output: str) -> int:
        """Messages in its file."""
        octets, at, messages = (directory / "flows").read_bytes(), 0, 0
        while at < len(octets):
            length, shift = 0, 0
            while octets[at] >= 0x80:
                length |= (octets[at] & 0x7F) << shift
                at, shift = at + 1, shift + 7
            at += 1 + (length | octets[at] << shift)
            messages += 1
        return messages


class Nfacctd:
    """nfacctd of pmacct, which aggregates: here by what a flow is known by, and the flows that it merged are counted."""

    _KEYS = "src_host, dst_host, src_port, dst_port, proto, tos, tcpflags, in_iface, out_iface, src_as, dst_as, peer_src_ip, flows"

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = list(flags)
        self.name = " ".join(["nfacctd", *flags])

    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on 127.0.0.1; its configuration is written into `directory`."""
        settings = {
            "nfacctd_ip": "127.0.0.1",
            "nfacctd_port": port,
            "nfacctd_pipe_size": RECEIVE_BUFFER,
            "plugins": "print",
            "aggregate": self._KEYS,
            "print_output": "csv",
            "print_output_file": "flows.csv",
            "print_refresh_time": 3600,
            "plugin_buffer_size": 65536,
            "plugin_pipe_size": 128 << 20,
        }
        (directory / "nfacctd.conf").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
        return ["nfacctd", "-f", "nfacctd.conf", *self._flags]

    def stop(self, pid: int, port: int) -> None:
        """Have it write what it holds and end: it looks for a signal when a datagram comes."""
        os.kill(pid, signal.SIGINT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"\0", ("127.0.0.1", port))

    def count(self, directory: Path, output: str) -> int:
        """The sum of merged flows in its file."""
        with (directory / "flows.csv").open(newline="") as file:
            return sum(int(row["FLOWS"]) for row in DictReader(file))


class Command(Terminated):
    """Any command line with `{port}`, counted by another that writes a number; both run in the trial's directory."""

    def __init__(self, words: Sequence[str], count: str | None) -> None:
        self.name = " ".join(words)
        self._words = words
        if "{port}" not in self.name:
            known = ", ".join(_KNOWN)
            raise UsageError(f"`{self.name}` is told no port", f"write `{{port}}` where it takes one; known by name are {known}")
        if count is None:
            raise UsageError(f"nobody knows how many flows `{self.name}` stores", "give `--count COMMAND`, which writes the number")
        self._count = _words(count)

    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on 127.0.0.1."""
        return [word.replace("{port}", str(port)) for word in self._words]

    def count(self, directory: Path, output: str) -> int:
        """The number that the counting command writes."""
        told = run(self._count, directory).strip()
        if not told.isdecimal():
            raise ProcessFailed(f"`{shlex.join(self._count)}` wrote no number: {told[:100]}")
        return int(told)


_KNOWN: dict[str, Callable[[Sequence[str]], Adapter]] = {"self": Flowfast, "nfcapd": Nfcapd, "goflow2": Goflow2, "nfacctd": Nfacctd}
_ALL = ("self", "self --to arrow:flows", "self --to parquet:flows", "nfcapd", "nfcapd -y", "goflow2", "nfacctd")


def adapters(targets: Sequence[str], count: str | None) -> list[Adapter]:
    """An adapter for each target, or for all collectors that are installed. Raises UsageError."""
    lines = [_words(target) for target in targets or _ALL]
    if not targets:
        lines = [line for line in lines if line[0] == "self" or shutil.which(line[0])]
    found = [_adapter(line, count) for line in lines]
    if count is not None and not any(isinstance(adapter, Command) for adapter in found):
        raise UsageError(f"nothing is counted by `{count}`", "it is for a target that is a command line; leave out `--count`")
    return found


def _words(line: str) -> list[str]:
    """A command line's words, as a shell would have them. Raises UsageError."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"`{line}` is no command line: {str(error).lower()}", "close what is quoted") from error


def _adapter(line: Sequence[str], count: str | None) -> Adapter:
    if not line:
        raise UsageError("an empty target", f"write one of {', '.join(_KNOWN)}, or a command line with {{port}}")
    known = _KNOWN.get(line[0])
    return known(line[1:]) if known else Command(line, count)
