"""Writes docs/reference/ from the code: `python docs/generate.py`. `--check` says whether it is fresh, and exits 1 if not."""

import csv
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from flowfast import Decoder
from flowfast.cli import app
from flowfast.commands.schema import describe
from flowfast.config import ENVIRONMENT_PREFIX, LIMITS, SECTION, Settings, dump
from flowfast.counters import COUNTERS, EQUATIONS, LABELS
from flowfast.limits import Limits
from flowfast.metrics import MAX_DOMAINS, MAX_EXPORTERS, Metrics, State
from flowfast.sinks import Account

REFERENCE = Path(__file__).parent / "reference"
TESTS = Path(__file__).parents[1] / "tests"
NOTE = "<!-- Written by docs/generate.py from the code; change it there. -->\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [head := list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def cli() -> str:
    """Every command with its options."""
    parts = ["# Command line\n", f"{app.info.help}\n", "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n"]
    for name, each in _commands("flowfast", typer.main.get_group(app)):
        arguments = " ".join(parameter.metavar or "" for parameter in each.params if parameter.param_type_name == "argument")
        parts += [f"## {name}\n", f"`{name} [OPTIONS]{' ' + arguments if arguments else ''}`\n", f"{each.help}\n"]
        parts.append(table(["option", "meaning"], [_option(parameter) for parameter in each.params if parameter.name != "help"]))
    return "\n".join(parts)


def _commands(name: str, group: Any) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, those of the groups within included."""
    for each in group.commands.values():
        full_name = f"{name} {each.name}"
        if hasattr(each, "commands"):
            yield from _commands(full_name, each)
        else:
            yield full_name, each


def _option(parameter: Any) -> tuple[str, str]:
    names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
    default = parameter.default if parameter.default not in (None, False, [], ()) and names else None
    described = (parameter.help or "") + (f" Default: {default}." if default is not None else "")
    return f"`{' '.join(filter(None, [names, parameter.metavar or '']))}`", described


def config() -> str:
    """The settings of the configuration file."""
    rows = _settings(Settings, SECTION)
    return "\n".join(
        [
            "# Configuration\n",
            "A TOML file, named by `--config` or `$FLOWFAST_CONFIG`, or `/etc/flowfast/flowfast.toml` if it exists. The names are "
            "those of the flags of `flowfast collect`. A flag goes over the environment, the environment over the file, the file over "
            "the default.\n",
            "The defaults, as a file:\n",
            f"```toml\n{dump(Settings())}\n```\n",
            table(["setting", "environment", "meaning"], rows),
            "## Limits\n",
            "Bounds of each worker, in the section `[limits]`. What is lost to one is counted under the name after the colon.\n",
            table(["setting", "environment", "meaning"], _settings(Limits, LIMITS)),
            "In the environment, lists are one text with commas. Durations are 300, 90s, 5m or 1h; sizes are 65536, 512K, 32M or 1G.",
            "",
        ]
    )


def _settings(model: type[BaseModel], section: str) -> list[tuple[str, str, str]]:
    return [
        (
            f"`{field.alias}`",
            f"`{ENVIRONMENT_PREFIX}{section.upper()}_{str(field.alias).upper().replace('-', '_')}`",
            field.description or "",
        )
        for name, field in model.model_fields.items()
        if name != LIMITS
    ]


def schema() -> str:
    """The columns of the flows table."""
    columns = describe(["full"])
    parts = [
        "# The `flows` table\n",
        "Null, never 0, is what the exporter did not send. Addresses are 16 octets, IPv4 as `::ffff:a.b.c.d`, and MAC addresses are "
        "unsigned integers; the field metadata `flowfast.semantic` says so (`ip`, `mac`). `--columns` takes columns, the groups `minimal`, "
        "`standard` (default) and `full`, and any element by its name in the registry or as `pen:id`.\n",
    ]
    for group in dict.fromkeys(column["group"] for column in columns):
        rows = [
            (f"`{each['name']}`", f"`{each['type']}`", _profile(each), _elements(each["elements"]), each["doc"])
            for each in columns
            if each["group"] == group
        ]
        parts += [f"## {group[:1].upper()}{group[1:]}\n", table(["column", "type", "in", "elements, first found wins", "meaning"], rows)]
    return "\n".join(parts)


def _profile(column: dict[str, object]) -> str:
    return "minimal" if column["minimal"] else "standard" if column["standard"] else "full"


def _elements(elements: Iterable[str]) -> str:
    return ", ".join(f"`{element}`" for element in elements)


def counters() -> str:
    """What is counted."""
    parts = [
        "# Counters\n",
        "`flowfast collect` and `flowfast convert` close with them, and `stats()` gives them in Python. They add up:\n",
        "```\n" + "\n".join(EQUATIONS) + "\n```\n",
        table(["counter", "what it counts"], [(f"`{name}`", meaning) for name, meaning in COUNTERS.items()]),
    ]
    for name, labels in LABELS.items():
        parts += [f"## {name}\n", table(["label", "what it counts"], [(f"`{label}`", meaning) for label, meaning in labels.items()])]
    parts += ["## Targets\n", f"Each target has its own: {', '.join(f'`{name}`' for name in Account('').as_dict() if name != 'target')}.\n"]
    return "\n".join(parts)


def metrics() -> str:
    """The Prometheus metrics."""
    state = State(stats=Decoder().stats())
    rows = [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, _labels(family), family.documentation)
        for family in Metrics(lambda: state).collect()
        if family.name.startswith("flowfast_")
    ]
    return "\n".join(
        [
            "# Metrics\n",
            "`flowfast collect` serves them at `http://127.0.0.1:8080/metrics` (`--http`), as Prometheus text or OpenMetrics. The "
            "[counters](counters.md) have the same names there, but for three that go by the names known from other collectors. "
            "They add up as the counters do. `process_...` metrics of the Prometheus client are there as well.\n",
            f"Labels are bounded: the {MAX_EXPORTERS} exporters and {MAX_DOMAINS} Observation Domains that were there first, or send most, "
            "have series of their own; `flowfast_exporters_without_series` counts the others. The totals have them all.\n",
            table(["metric", "type", "labels", "meaning"], rows),
        ]
    )


def _labels(family: Any) -> str:
    return ", ".join(f"`{label}`" for label in family._labelnames)


def requirements() -> str:
    """What is proven by tests and what is open."""
    module = _of_tests("conformance/requirements.py")
    rows = [row for row in module.table() if row.must_be_proven]
    open_rows = [(f"`{row.id}`", row.text, row.open) for row in rows if row.open]
    proven = [(f"`{row.id}`", row.text) for row in rows if not row.open]
    return "\n".join(
        [
            "# Requirements\n",
            "What flowfast is held to: the MUSTs of the formats, templates, data types, sequence numbers, sampling, robustness and "
            "the order of fields, digested from the RFCs and the vendors' documents. A test names those that it proves by their id, so "
            "that `grep -rn FF-IX-03 tests rust` shows it; `tests/conformance/test_requirements.py` fails on one that no test names and "
            "that is not open.\n",
            "## Open\n",
            "`in part`: tests prove the rest. `measured`: no test asserts a time.\n",
            table(["id", "requirement", "how it is"], open_rows),
            "## Proven\n",
            table(["id", "requirement"], proven),
        ]
    )


def disagreements() -> str:
    """Where the oracles and flowfast differ."""
    with (TESTS / "oracle/disagreements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    verdicts = {"ours": "flowfast", "policy": "a choice", "none": "either"}
    parts = [
        "# Disagreements with other decoders\n",
        "What tshark, nfdump, flow-tools and sflowtool make of the captures and flowfast does not, and what the projects that the captures "
        "come from expect of them, element by element, with the octets of the datagram that decide it. `test_oracles.py`, "
        "`test_sflow_captures.py` and `test_golden.py` in `tests/conformance` fail on a disagreement that is not here, and on one here "
        "that is gone. A capture that is not named is decoded alike.\n",
    ]
    for oracle in sorted({row["oracle"] for row in rows}):
        lines = [
            (
                row["capture"].replace("__", "/", 1),
                f"{row['column']} ({row['count']})",
                _code(row["theirs"]),
                _code(row["ours"]),
                _code(row["octets"]),
                verdicts[row["right"]],
                row["why"],
            )
            for row in rows
            if row["oracle"] == oracle
        ]
        parts += [f"## {oracle}\n", table(["capture", "element (times)", "theirs", "ours", "octets", "right", "why"], lines)]
    return "\n".join(parts)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _of_tests(path: str) -> Any:
    """A module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(f"tests_{Path(path).stem}", TESTS / path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(TESTS / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli,
    "config.md": config,
    "schema.md": schema,
    "counters.md": counters,
    "metrics.md": metrics,
    "requirements.md": requirements,
    "oracle-disagreements.md": disagreements,
}


def stale() -> list[str]:
    """Pages that are not what the code says."""
    return [name for name, page in PAGES.items() if not (REFERENCE / name).exists() or (REFERENCE / name).read_text() != NOTE + page()]


def main() -> int:
    """Write the pages, or check them."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"docs/reference/{name} is stale: run `python docs/generate.py`")
        return bool(stale())
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(NOTE + page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
