"""Captures: decoding them, and converting them into files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from measure import Failed, Usage, peak_mib, rounds, run
from report import Table
from sizes import Sizes
from traffic import FLOWFAST, IPFIX, V5, V9, write_pcap

ORDERS = ("reversed", "shuffled", "worst")
START_UP_FLOWS = 24


def decode(sizes: Sizes, scratch: Path) -> Table:
    """`flowfast convert X.pcap --to null:`: read a capture, decode it into Arrow columns, forget them."""
    streams = [V5, V9, IPFIX, *(replace(IPFIX, order=order) for order in ORDERS)]
    for stream in streams:
        write_pcap(stream, sizes.decode_flows, scratch)
    write_pcap(IPFIX, START_UP_FLOWS, scratch, "tiny.pcap")
    variants = {stream.pcap: _converting(stream.pcap, "null:", sizes.decode_flows, scratch) for stream in streams}
    variants["tiny.pcap"] = _converting("tiny.pcap", "null:", START_UP_FLOWS, scratch)
    usages = rounds(sizes.rounds, variants)
    start_up_s = median(usage.cpu_s for usage in usages.pop("tiny.pcap"))
    canonical_s = median(usage.cpu_s for usage in usages[IPFIX.pcap]) - start_up_s
    table = Table(
        f"Decode: {sizes.decode_flows:,} records of a pcap into Arrow columns",
        [
            f"flowfast generate --write ipfix-25.pcap {' '.join(IPFIX.options)} --count {sizes.decode_flows}   # --order reversed ...",
            "flowfast convert ipfix-25.pcap --to null:",
        ],
        [f"Start-up (a pcap of {START_UP_FLOWS} flows): {start_up_s:.2f} CPU-seconds, in the figures `all`, not in those beside them."],
    )
    for stream in streams:
        runs = usages[stream.pcap]
        cpu_s = median(usage.cpu_s for usage in runs)
        beyond_s = cpu_s - start_up_s
        table.rows.append(
            {
                "template, order of fields": stream.name,
                "M records per CPU-s, all": sizes.decode_flows / cpu_s / 1e6,
                "M records per CPU-s": sizes.decode_flows / beyond_s / 1e6,
                "ns per record, all": cpu_s * 1e9 / sizes.decode_flows,
                "ns per record": beyond_s * 1e9 / sizes.decode_flows,
                "to ipfix-25": beyond_s / canonical_s,
                "user s": median(usage.user_s for usage in runs),
                "sys s": median(usage.sys_s for usage in runs),
                "wall s": median(usage.wall_s for usage in runs),
                "peak MiB": peak_mib(runs),
            }
        )
        (scratch / stream.pcap).unlink()
    return table


def convert(sizes: Sizes, scratch: Path) -> Table:
    """`flowfast convert` to files."""
    pcap, flows = "convert.pcap", sizes.convert_flows
    write_pcap(IPFIX, flows, scratch, pcap)
    write_pcap(IPFIX, START_UP_FLOWS, scratch, "tiny.pcap")
    targets = ["null:", "flows.arrow", "flows.parquet", "flows.csv", "flows.ndjson"]
    variants = {target: _converting(pcap, target, flows, scratch) for target in targets}
    variants["tiny.pcap"] = _converting("tiny.pcap", "null:", START_UP_FLOWS, scratch)
    usages = rounds(sizes.rounds, variants)
    start_up_s = median(usage.cpu_s for usage in usages.pop("tiny.pcap"))
    table = Table(
        f"Convert: {flows:,} records of ipfix-25 into files, `standard` columns",
        [
            f"flowfast generate --write convert.pcap {' '.join(IPFIX.options)} --count {flows}",
            "flowfast convert convert.pcap --to flows.parquet",
        ],
        [f"Start-up: {start_up_s:.2f} CPU-seconds, in the figure `all`, not in the one beside it."],
    )
    for target in targets:
        cpu_s = median(usage.cpu_s for usage in usages[target])
        octets = (scratch / target).stat().st_size if target != "null:" else None
        table.rows.append(
            {
                "target": target,
                "M rows per CPU-s, all": flows / cpu_s / 1e6,
                "M rows per CPU-s": flows / (cpu_s - start_up_s) / 1e6,
                "octets per flow": octets / flows if octets is not None else None,
                "user s": median(usage.user_s for usage in usages[target]),
                "sys s": median(usage.sys_s for usage in usages[target]),
                "wall s": median(usage.wall_s for usage in usages[target]),
                "peak MiB": peak_mib(usages[target]),
            }
        )
        if octets is not None:
            (scratch / target).unlink()
    (scratch / pcap).unlink()
    return table


def _converting(pcap: str, target: str, flows: int, scratch: Path) -> Callable[[], Usage]:
    def measure() -> Usage:
        if target != "null:":
            (scratch / target).unlink(missing_ok=True)
        usage, output = run([*FLOWFAST, "convert", pcap, "--to", target], scratch)
        if f"{flows:,} records written" not in output:
            raise Failed(f"`flowfast convert {pcap}` did not write {flows:,} records: {output}")
        return usage

    return measure
