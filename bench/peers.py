"""Other projects' decoders beside flowfast's: the same datagrams, in memory, in turns, CPU time per Flow Record.

    python bench/peers.py [--seconds 1] [--rounds 5] [--json]

Builds goflow2's decoders (needs Go) and the crate netflow_parser (needs Rust) into target/peers, from their registries; what cannot be
built is left out, and said. Each decodes what `flowfast generate` wrote into a capture, templates known, and has to find the flows and the
octets that the generator counted. docs/benchmarks.md says what each makes of a flow.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import flowfast
from flowfast.commands.bench.report import print_report, progress

PEERS = Path(__file__).resolve().parent / "peers"
BUILT = PEERS.parents[1] / "target" / "peers"
FORMATS = {"v5": "v5", "v9-19": "v9", "ipfix-25": "ipfix", "packet": "sflow"}
FLOWS = 20_000
FLOWFAST_RECORDS = 2_000_000
"""Of a run of flowfast's; the others are told how long they may take."""


@dataclass(frozen=True)
class Program:
    """One project's decoder: what builds it in its directory, and where it is then."""

    directory: str
    build: tuple[str, ...]
    binary: Path


GOFLOW2 = Program("goflow2", ("go", "build", "-o", str(BUILT / "goflow2-bench"), "."), BUILT / "goflow2-bench")
NETFLOW_PARSER = Program(
    "netflow_parser",
    ("cargo", "build", "--release", "--quiet", "--locked", "--target-dir", str(BUILT / "netflow_parser")),
    BUILT / "netflow_parser" / "release" / "netflow-parser-bench",
)


@cache
def fault(program: Program) -> str | None:
    """Build a program; why that cannot be done, if it cannot."""
    if shutil.which(program.build[0]) is None:
        return f"{program.build[0]} is not installed"
    done = subprocess.run(program.build, cwd=PEERS / program.directory, capture_output=True, text=True, check=False)
    return f"it does not build: {' '.join(done.stderr.split())[-300:]}" if done.returncode else None


@dataclass(frozen=True)
class Decoder:
    """One way to decode a capture, and what it ends with. `program` None: flowfast's own."""

    name: str
    makes: str
    program: Program | None = None
    flags: tuple[str, ...] = ()
    reads_sflow: bool = True

    def fault(self) -> str | None:
        """Why it cannot run here, if it cannot."""
        return None if self.program is None else fault(self.program)

    def run(self, capture: Path, seconds: float) -> dict[str, Any]:
        """One run: figures as `flowfast bench decode --json` calls them, `pass` what is in the capture."""
        if self.program is None:
            return with_flowfast(capture)
        return told([str(self.program.binary), str(capture), str(seconds), *self.flags])


FLOWFAST = Decoder("flowfast", "57 Arrow columns")
DECODERS = (
    FLOWFAST,
    Decoder("netflow_parser", "a struct (v5) or a list of typed values a flow", NETFLOW_PARSER, reads_sflow=False),
    Decoder("goflow2, decoding", "a struct (v5, sFlow) or a list of octet strings a flow", GOFLOW2, ("decode",)),
    Decoder("goflow2, producing", "a flow message, not serialized yet", GOFLOW2, ("produce",)),
)
PAIRS = tuple((template, decoder) for template in FORMATS for decoder in DECODERS if decoder.reads_sflow or FORMATS[template] != "sflow")
TABLE = ("template", "decoder", "makes", "ns_per_record", "records_per_cpu_second", "times_flowfast")


def with_flowfast(capture: Path) -> dict[str, Any]:
    """`flowfast bench decode`, and what `flowfast.read` finds."""
    what = ["--capture", str(capture), "--records", str(FLOWFAST_RECORDS), "--runs", "1", "--json"]
    figures = told([sys.executable, "-m", "flowfast", "bench", "decode", *what])
    octets = pa.table(flowfast.read(capture))["bytes"]
    return figures | {"pass": {"flows": len(octets), "octets": pc.sum(octets).as_py()}}


def told(command: Sequence[str]) -> dict[str, Any]:
    """The JSON line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: `{' '.join(command)}` failed: {done.stderr[-300:]}")
    line: dict[str, Any] = json.loads(done.stdout)
    return line


@cache
def generated(template: str, directory: Path) -> tuple[Path, Mapping[str, int]]:
    """A capture of one exporter, and the flows and octets in it."""
    capture = directory / f"{template}.pcap"
    what = ["--format", FORMATS[template], "--template", template, "--count", str(FLOWS), "--write", str(capture)]
    sent = told([sys.executable, "-m", "flowfast", "generate", *what])
    return capture, {name: sent[name] for name in ("flows", "octets")}


def measured(decoder: Decoder, template: str, directory: Path, seconds: float) -> dict[str, Any]:
    """One run over a capture. Ends the program if the decoder does not find what the generator counted."""
    capture, sent = generated(template, directory)
    figures = decoder.run(capture, seconds)
    found = figures.pop("pass")
    if found != sent:
        raise SystemExit(f"error: {decoder.name} finds {found} in {template}, where there are {sent}")
    return figures


def report(decoder: Decoder, template: str, runs: Sequence[Mapping[str, Any]], flowfast_ns: float) -> dict[str, Any]:
    """The median run, with the keys of `flowfast bench decode --json`: null where one has no meaning for a decoder."""
    chosen = sorted(runs, key=lambda run: run["ns_per_record"])[(len(runs) - 1) // 2]
    unknown = dict.fromkeys(("kernel", "floor_ns_per_record", "baseline_ns_per_record", "lost"))
    what = {"template": template, "order": "canonical", "decoder": decoder.name, "makes": decoder.makes}
    return unknown | chosen | what | {"times_flowfast": round(chosen["ns_per_record"] / flowfast_ns, 2)}


def main() -> int:
    """Build, run in turns, print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1, help="CPU time of a run")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each decoder over each template, of which the median counts")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    asked = parser.parse_args()
    for decoder in DECODERS:
        if why := decoder.fault():
            print(f"left out: {decoder.name}: {why}", file=sys.stderr)
    runs: dict[tuple[str, Decoder], list[dict[str, Any]]] = {pair: [] for pair in PAIRS if pair[1].fault() is None}
    with tempfile.TemporaryDirectory() as directory, progress() as status:
        for turn in range(asked.rounds):
            for (template, decoder), done in runs.items():
                status.update(f"round {turn + 1} of {asked.rounds}: {template}, {decoder.name}")
                done.append(measured(decoder, template, Path(directory), asked.seconds))
    flowfast_ns = {template: median(run["ns_per_record"] for run in runs[template, FLOWFAST]) for template in FORMATS}
    reports = [report(decoder, template, done, flowfast_ns[template]) for (template, decoder), done in runs.items()]
    print_report({}, reports, table=TABLE, as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
