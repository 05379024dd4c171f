"""`flowfast bench decode`: how fast records become columns, in memory and in one thread."""

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from flowfast import _core
from flowfast.columns import no_columns_to_choose
from flowfast.core_errors import input_error, usage_errors
from flowfast.errors import InputError


def run(load: Mapping[str, Any], *, kernel: str, records: int, runs: int, schema: str, columns: Sequence[str] | None, as_json: bool) -> int:
    """Measure and print. `load`: what to decode, as `_core.DecodeBench` takes it. Returns the exit code."""
    if columns and schema == "wire":
        raise no_columns_to_choose()
    try:
        with usage_errors("`flowfast bench decode --help` lists what there is"):
            bench = _core.DecodeBench(kernel=kernel, records=records, schema=schema, columns=columns or ["standard"], **load)
    except OSError as error:
        raise input_error(error) from error
    figures = summary([bench.round() for _ in range(runs)])
    if not figures["records"]:
        raise InputError(f"no record in {load['capture']} becomes a row of `{schema}`", "`flowfast convert` says what is in it")
    report = {"template": None, "order": None} | dict(load) | {"kernel": kernel} | figures
    print(json.dumps(report) if as_json else text(report))
    return 0


def summary(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Medians of the rounds, CPU time per record; `lost` of all of them."""
    first = rounds[0]
    records = first["records"]

    def ns_per_record(way: str, records: int = records) -> float:
        times_ns: list[int] = [figures[f"{way}_ns"] for figures in rounds]
        return round(median(times_ns) / max(records, 1), 2)

    cpu_s = median(figures["cpu_ns"] for figures in rounds) / 1e9
    reference = None if first["reference_ns"] is None else ns_per_record("reference", first["reference_records"])
    return {
        "records": records,
        "cpu_seconds": cpu_s,
        "records_per_cpu_second": round(records / cpu_s),
        "ns_per_record": ns_per_record("cpu"),
        "floor_ns_per_record": ns_per_record("floor"),
        "baseline_ns_per_record": ns_per_record("baseline"),
        "reference_ns_per_record": reference,
        "lost": sum(figures["lost"] for figures in rounds),
    }


def text(report: Mapping[str, Any]) -> str:
    """For people: a figure a line."""
    what = report.get("capture") or f"{report['template']}, {report['order']}"
    speed, floor, baseline, reference = (report[f"{name}ns_per_record"] for name in ("", "floor_", "baseline_", "reference_"))
    compared = []
    if reference is not None:
        is_one = (report["exporters"], report["templates"]) == (1, 1)
        other = "in canonical order" if is_one else "from one exporter with one template"
        compared = [f"  {reference:6.1f} ns {other}: this is {reference / speed:.2f} times as fast"]
    return "\n".join(
        [
            f"{what}, kernel {report['kernel']}: {report['records']:,} records a run, {report['lost']:,} lost",
            f"  {report['records_per_cpu_second'] / 1e6:.1f} M records per CPU-second",
            f"  {speed:6.1f} ns per record",
            f"  {baseline:6.1f} ns by the plain decoder: {baseline / speed:.1f} times as long",
            f"  {floor:6.1f} ns to copy the datagrams once: {speed / floor:.1f} times as fast",
            *compared,
        ]
    )
