"""Writes docs/reference/ from the code: `python docs/generate.py`. `--check` says whether it is fresh, and exits 1 if not."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from flowfast import Decoder
from flowfast.cli import app
from flowfast.commands.schema import describe
from flowfast.config import ENVIRONMENT_PREFIX, SECTION, Settings, dump
from flowfast.counters import COUNTERS, EQUATIONS, LABELS
from flowfast.metrics import MAX_DOMAINS, MAX_EXPORTERS, Metrics, State
from flowfast.sinks import Account

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code; change it there. -->\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [head := list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def cli() -> str:
    """Every command with its options."""
    command = typer.main.get_group(app)
    parts = ["# Command line\n", f"{app.info.help}\n", "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n"]
    for name, each in command.commands.items():
        arguments = " ".join(parameter.metavar or "" for parameter in each.params if parameter.param_type_name == "argument")
        parts += [f"## flowfast {name}\n", f"`flowfast {name} [OPTIONS]{' ' + arguments if arguments else ''}`\n", f"{each.help}\n"]
        parts.append(table(["option", "meaning"], [_option(parameter) for parameter in each.params if parameter.name != "help"]))
    return "\n".join(parts)


def _option(parameter: Any) -> tuple[str, str]:
    names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
    default = parameter.default if parameter.default not in (None, False, [], ()) and names else None
    described = (parameter.help or "") + (f" Default: {default}." if default is not None else "")
    return f"`{' '.join(filter(None, [names, parameter.metavar or '']))}`", described


def config() -> str:
    """The settings of the configuration file."""
    rows = [
        (
            f"`{field.alias}`",
            f"`{ENVIRONMENT_PREFIX}{SECTION.upper()}_{str(field.alias).upper().replace('-', '_')}`",
            field.description or "",
        )
        for field in Settings.model_fields.values()
    ]
    return "\n".join(
        [
            "# Configuration\n",
            "A TOML file, named by `--config` or `$FLOWFAST_CONFIG`, or `/etc/flowfast/flowfast.toml` if it exists. The names are "
            "those of the flags of `flowfast collect`. A flag goes over the environment, the environment over the file, the file over "
            "the default.\n",
            "The defaults, as a file:\n",
            f"```toml\n{dump(Settings())}\n```\n",
            table(["setting", "environment", "meaning"], rows),
            "In the environment, lists are one text with commas. Durations are 300, 90s, 5m or 1h; sizes are 65536, 512K, 32M or 1G.",
            "",
        ]
    )


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


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli,
    "config.md": config,
    "schema.md": schema,
    "counters.md": counters,
    "metrics.md": metrics,
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
