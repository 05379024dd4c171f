"""Instructions that decoding takes per Flow Record, counted by callgrind: the same on a busy machine as on a quiet one.

    python bench/instructions.py [--functions N]

Needs valgrind and a Rust toolchain. Each load is decoded ten times and five times; the difference is free of what happens once. What the
processor makes of instructions - memory that is far, branches that were not foreseen - is not counted: time is `flowfast bench decode`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECODE = ROOT / "target/release/examples/decode"
LOADS = [
    ("v5", "canonical"),
    ("v9-19", "canonical"),
    ("ipfix-25", "canonical"),
    ("set-a", "canonical"),
    ("set-a", "worst"),
]
KERNELS = ("auto", "scalar", "plain")
PASSES = (5, 10)


def main() -> int:
    """Build, count, print a table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the N functions that take most, for each load")
    functions: int = parser.parse_args().functions
    if shutil.which("valgrind") is None:
        print("error: valgrind is not installed\nhint: apt install valgrind", file=sys.stderr)
        return 2
    subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--package", "flowfast-collector", "--example", "decode"], cwd=ROOT, check=True
    )
    print(f"{'template':<10} {'order':<10} " + " ".join(f"{kernel:>8}" for kernel in KERNELS) + "   instructions per Flow Record")
    with tempfile.TemporaryDirectory() as directory:
        for template, order in LOADS:
            counts = [per_record(template, order, kernel, Path(directory)) for kernel in KERNELS]
            print(f"{template:<10} {order:<10} " + " ".join(f"{count:>8.0f}" for count in counts))
            for line in most(Path(directory), functions):
                print(f"    {line}")
    return 0


def per_record(template: str, order: str, kernel: str, directory: Path) -> float:
    """Instructions for one more Flow Record."""
    fewer, more = (run(template, order, kernel, passes, directory) for passes in PASSES)
    return (more[0] - fewer[0]) / (more[1] - fewer[1])


def run(template: str, order: str, kernel: str, passes: int, directory: Path) -> tuple[int, int]:
    """Instructions and Flow Records of one run; `directory` gets `profile.KERNEL`."""
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/profile.{kernel}"]
    done = subprocess.run([*callgrind, DECODE, template, order, kernel, str(passes), "1", "1"], capture_output=True, text=True, check=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if counted is None:
        raise SystemExit(f"error: valgrind has counted nothing: {done.stderr[-300:]}")
    return int(counted[1]), int(done.stdout)


def most(directory: Path, functions: int) -> list[str]:
    """The functions that took most of the last run with the kernel `auto`, loading included."""
    if functions == 0:
        return []
    profile = subprocess.run(["callgrind_annotate", directory / "profile.auto"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in profile.splitlines() if re.match(r"\s*[\d,]+ \(", line) and "PROGRAM TOTALS" not in line]
    return [re.sub(r"\s*\[.*\]$", "", line).strip() for line in lines[:functions]]


if __name__ == "__main__":
    raise SystemExit(main())
