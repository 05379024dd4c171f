"""What `make demo` runs: collect real captures and a million generated flows over UDP into Parquet, and look at the result.

Everything happens on loopback, on a free port, in the directory `demo/`, and ends by itself.
"""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo"
FLOWS = OUTPUT / "flows" / "**" / "*.parquet"
FLOWFAST = [sys.executable, "-m", "flowfast"]
GENERATED = 1_000_000
RATE_FLOWS_PER_S = 250_000
EXPORTERS = 8


def heading(text: str) -> None:
    """Separate what follows."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


class Collect:
    """A running `flowfast collect`, its log read as JSON."""

    def __init__(self) -> None:
        self._log = (OUTPUT / "collect.log").open("w+")
        command = [*FLOWFAST, "collect", "--listen", "udp://127.0.0.1:0", "--to", f"parquet:{OUTPUT}", "--rotate", "2s"]
        print("$ flowfast", *command[3:])
        self._process = subprocess.Popen(command, stderr=self._log)
        self.port = int(self._wait_for("listening")["port"])

    def _events(self) -> list[dict]:
        self._log.flush()
        lines = Path(self._log.name).read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _wait_for(self, event: str) -> dict:
        for _ in range(200):
            found = [entry for entry in self._events() if entry.get("event") == event]
            if found:
                return found[-1]
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"error: the collector did not come up\nhint: see {self._log.name}")

    def stop(self) -> dict:
        """Have it flush and end; its closing summary."""
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(timeout=60) != 0:
            raise SystemExit(f"error: the collector ended with {self._process.returncode}\nhint: see {self._log.name}")
        return self._wait_for("summary")


def send(port: int) -> tuple[int, dict]:
    """The captures, then the generated flows; returns datagrams of the captures, and what was generated."""
    target = f"udp://127.0.0.1:{port}"
    captures = sorted((ROOT / "tests/captures").glob("*.pcap"))
    out = subprocess.run([sys.executable, ROOT / "examples/send_capture.py", target, *captures], capture_output=True, text=True, check=True)
    print(out.stdout, end="", flush=True)
    datagrams = sum(int(line.split()[0]) for line in out.stdout.splitlines())
    command = [*FLOWFAST, "generate", "--to", target, "--format", "ipfix", "--count", str(GENERATED)]
    command += ["--rate", str(RATE_FLOWS_PER_S), "--exporters", str(EXPORTERS)]
    print("$ flowfast", *command[3:], flush=True)
    generated = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return datagrams, generated


def show_accounting(datagrams: int, generated: dict, summary: dict) -> None:
    """The counters, side by side with what was sent."""
    counters, target = summary["counters"], summary["targets"][0]
    rows = duckdb.sql(f"select count(*) from read_parquet('{FLOWS}')").fetchall()[0][0]
    discarded = counters.get("datagrams_discarded", 0)
    print(f"sent        {datagrams:>9,} datagrams of captures + {generated['datagrams']:,} generated with {generated['flows']:,} flows")
    print(f"received    {counters['datagrams_received']:>9,} datagrams, kernel drops {counters.get('kernel_drops', 0)}")
    print(f"decoded     {counters['datagrams_decoded']:>9,} datagrams, discarded {discarded or 0}")
    print(f"records     {counters['records_decoded']:>9,} decoded, {counters['records_queued']:,} queued")
    print(f"written     {target['records_written']:>9,} rows in {target['files_written']} files; {rows:,} read back by DuckDB")
    received = counters["datagrams_received"]
    adds_up = received == datagrams + generated["datagrams"] and counters["records_decoded"] == target["records_written"] == rows
    print("it adds up: nothing lost, nothing doubled" if adds_up else "it does not add up: see the counters above")


def show_talkers() -> None:
    """Top talkers, with readable addresses."""
    duckdb.execute((ROOT / "examples/duckdb_macros.sql").read_text())
    print(
        duckdb.sql(f"""
            select ip_text(src_addr) as source, ip_text(dst_addr) as destination, proto, dst_port,
                   sum(bytes) as bytes, sum(packets) as packets, count(*) as flows
            from read_parquet('{FLOWS}') group by all order by bytes desc limit 10
        """)
    )
    print(
        duckdb.sql(f"""
            select type, count(distinct sampler_address) as exporters, count(*) as flows, sum(bytes) as bytes
            from read_parquet('{FLOWS}') group by type order by flows desc
        """)
    )


def show_files() -> None:
    """Files and their sizes."""
    files = sorted(OUTPUT.glob("flows/**/*.parquet"))
    for path in files[:6]:
        print(f"{path.stat().st_size:>11,}  {path.relative_to(ROOT)}")
    if len(files) > 6:
        print(f"             ... and {len(files) - 6} more")
    octets = sum(path.stat().st_size for path in files)
    rows = duckdb.sql(f"select count(*) from read_parquet('{FLOWS}')").fetchall()[0][0]
    print(f"{octets:>11,}  octets in all, {octets / rows:.1f} a flow")


def main() -> None:
    """Run the demo."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    heading("Collecting over UDP")
    collect = Collect()
    datagrams, generated = send(collect.port)
    summary = collect.stop()
    heading("Where did the flows go?")
    show_accounting(datagrams, generated, summary)
    rate = generated["flows"] / generated["elapsed_ns"] * 1e9
    print(f"{rate:,.0f} generated flows per second came in, were decoded and written")
    heading("Top talkers, out of Parquet with DuckDB")
    show_talkers()
    heading("Files")
    show_files()
    heading("Next")
    print("  .venv/bin/flowfast convert tests/captures/softflowd-v9.pcap --to -         # any capture as NDJSON")
    print("  .venv/bin/flowfast collect --to parquet:/tmp/flows                         # ports 2055, 4739 and 6343")
    print("  .venv/bin/flowfast schema                                                  # every column, and what fills it")


if __name__ == "__main__":
    main()
