"""What `make bench` runs: the benchmarks of this machine, as Markdown tables. It ends by itself, in some minutes.

python bench/run.py [--quick] [--json FILE] [CASE ...]
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from measure import Failed
from offline import convert, decode
from online import collect, compare, highest_rate
from report import machine
from sizes import FULL, QUICK

CASES = {"decode": decode, "convert": convert, "collect": collect, "highest-rate": highest_rate, "compare": compare}
SCRATCH_OCTETS = 4 << 30


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure flowfast on this machine; print Markdown tables.")
    parser.add_argument("case", nargs="*", help=f"only these, of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="less of each, once: for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE, too")
    options = parser.parse_args()
    unknown = set(options.case) - set(CASES)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}: there are {', '.join(CASES)}")
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        return _run(options.case or list(CASES), options.quick, options.json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Failed as error:
        print(f"error: {error}\nhint: run `flowfast --version`; `make build` builds it", file=sys.stderr)
        return 1


def _run(names: list[str], is_quick: bool, output: Path | None) -> int:
    sizes, about = QUICK if is_quick else FULL, machine()
    print("# Benchmarks\n")
    print("\n".join(f"- {key}: {value}" for key, value in about.items()))
    print(f"- rounds: {sizes.rounds}; figures are medians")
    tables = {}
    with tempfile.TemporaryDirectory(prefix="flowfast-bench-", dir=_scratch_parent()) as scratch:
        for name in names:
            tables[name] = CASES[name](sizes, Path(scratch))
            print(f"\n{tables[name].markdown()}", flush=True)
    if output is not None:
        report = {"machine": about, "sizes": asdict(sizes), "tables": {name: asdict(table) for name, table in tables.items()}}
        output.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _scratch_parent() -> str | None:
    """Memory rather than a disk, where there is room: it is not the disk that is measured."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > SCRATCH_OCTETS else None


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
