"""The command line: flags in, exit codes out. What the commands do is in `flowfast.commands`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flowfast._core import __version__
from flowfast.commands import check_config, collect, convert, doctor, generate, schema, templates
from flowfast.config import HTTP_DEFAULT, Settings, config_path, load, split_list
from flowfast.errors import EXIT_FAILED, EXIT_USAGE, FlowfastError, TargetError, UsageError, print_error, reason
from flowfast.sinks import target_hint

app = typer.Typer(
    name="flowfast",
    help="NetFlow v1-v9, IPFIX and sFlow into Apache Arrow: a flow collector that can prove where every flow went.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _help(setting: str) -> str:
    """A setting's description, which flags and files share."""
    return Settings.model_fields[setting].description or ""


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Configuration file. Default: $FLOWFAST_CONFIG, then /etc/flowfast/flowfast.toml."),
]
To = Annotated[list[str] | None, typer.Option("--to", metavar="TARGET", help=f"{_help('to')} Repeatable. Default: `-`.")]
Schema = Annotated[str | None, typer.Option("--schema", metavar="flows|wire", help=f"{_help('schema_')} Default: flows.")]
Columns = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help=f"{_help('columns')} Repeatable, or with commas. Default: standard.")
]
Lenient = Annotated[bool | None, typer.Option("--lenient", help=_help("lenient"))]


@app.callback(invoke_without_command=True)
def root(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version, or the help if no command is given; all else is done by the commands."""
    if version:
        print(f"flowfast {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(EXIT_USAGE)


@app.command("collect")
def collect_command(
    *,
    config: ConfigFile = None,
    listen: Annotated[
        list[str] | None, typer.Option(metavar="URI", help=f"{_help('listen')} Repeatable. Default: UDP ports 2055, 4739 and 6343.")
    ] = None,
    to: To = None,
    schema_: Schema = None,
    columns: Columns = None,
    workers: Annotated[str | None, typer.Option(metavar="N", help=f"{_help('workers')} Default: 1.")] = None,
    rotate: Annotated[str | None, typer.Option(metavar="DURATION", help=f"{_help('rotate')} Default: 60s.")] = None,
    rcvbuf: Annotated[str | None, typer.Option(metavar="SIZE", help=f"{_help('rcvbuf')} Default: 32M.")] = None,
    when_full: Annotated[str | None, typer.Option(metavar="drop|block", help=f"{_help('when_full')} Default: drop.")] = None,
    journal: Annotated[str | None, typer.Option(metavar="on|off|keep", help=f"{_help('journal')} Default: on.")] = None,
    journal_dir: Annotated[str | None, typer.Option(metavar="DIR", help=_help("journal_dir"))] = None,
    journal_size: Annotated[str | None, typer.Option(metavar="SIZE", help=f"{_help('journal_size')} Default: 16G.")] = None,
    lenient: Lenient = None,
    http: Annotated[str | None, typer.Option(metavar="ADDRESS", help=f"{_help('http')} Default: {HTTP_DEFAULT}.")] = None,
) -> int:
    """Receive flows on UDP ports and write them, until SIGTERM or Ctrl-C."""
    flags = {
        "listen": listen or None,
        "to": to or None,
        "schema": schema_,
        "columns": columns or None,
        "workers": workers,
        "rotate": rotate,
        "rcvbuf": rcvbuf,
        "when-full": when_full,
        "journal": journal,
        "journal-dir": journal_dir,
        "journal-size": journal_size,
        "lenient": lenient,
        "http": http,
    }
    file = config_path(config)
    return collect.run(lambda: load(flags, file, os.environ))


@app.command("convert")
def convert_command(
    *,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="pcap and pcapng files; `-` is standard input.")],
    to: To = None,
    schema_: Schema = None,
    columns: Columns = None,
    port: Annotated[
        list[int] | None, typer.Option(min=1, max=65535, metavar="PORT", help="Only this UDP destination port. Repeatable. Default: all.")
    ] = None,
    workers: Annotated[str | None, typer.Option(metavar="N", help="Workers, one thread each. Default: 1.")] = None,
    rotate: Annotated[
        str, typer.Option(metavar="DURATION", help="How much time of the capture a rotating file holds; it must divide an hour.")
    ] = "1h",
    lenient: Lenient = None,
) -> int:
    """Decode captures (pcap, pcapng)."""
    flags = {
        "to": to or None,
        "schema": schema_,
        "columns": columns or None,
        "workers": workers,
        "rotate": rotate,
        "lenient": lenient,
    }
    return convert.run(inputs, port or (), load(flags, None, {}))


@app.command("generate")
def generate_command(
    *,
    to: Annotated[str | None, typer.Option(metavar="URI", help="Where to send, such as udp://127.0.0.1:2055.")] = None,
    write: Annotated[str | None, typer.Option(metavar="FILE", help="A pcap file to write.")] = None,
    format: Annotated[str, typer.Option(metavar="v5|v9|ipfix", help="What to export.")] = "ipfix",
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Flow Records in all.")] = 10_000,
    rate: Annotated[float, typer.Option(min=0, metavar="R", help="Flow Records a second; 0 is as fast as possible.")] = 0,
    order: Annotated[
        str, typer.Option(metavar="ORDER", help="Order of the fields: canonical, reversed, shuffled, worst, as-listed.")
    ] = "canonical",
    template: Annotated[
        str, typer.Option(metavar="NAME", help="Which fields a record has: the usual ones, or v5, v9-19, ipfix-25, set-a, minimal.")
    ] = "default",
    exporters: Annotated[int, typer.Option(min=1, metavar="N", help="Exporters, each with an address of its own.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 64) - 1, metavar="S", help="Chooses the flows: one seed, one stream.")] = 1,
) -> int:
    """Export synthetic flows, and print what was sent as one JSON line."""
    return generate.run(
        to=to, write=write, format=format, count=count, rate=rate, order=order, template=template, exporters=exporters, seed=seed
    )


@app.command("check-config")
def check_config_command(
    *,
    config: ConfigFile = None,
    dump: Annotated[bool, typer.Option("--dump", help="Print the settings in effect, as a configuration file.")] = False,
) -> int:
    """Check the configuration file and the environment."""
    return check_config.run(config_path(config), dump=dump)


@app.command("doctor")
def doctor_command(
    *,
    config: ConfigFile = None,
    http: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help=f"Where the collector serves HTTP, or `off`. Default: {HTTP_DEFAULT}.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Find what ails the collector that runs, or else this machine, and what mends it; exit code 1 if there is a problem."""
    return doctor.run(load({"http": http}, config_path(config), os.environ), as_json=json)


@app.command("schema")
def schema_command(
    *,
    columns: Columns = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """List the columns of the flows table."""
    return schema.run(split_list(columns or "full"), as_json=json)


@app.command("templates")
def templates_command(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What `flowfast collect` writes to, or its journal.")],
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """List the templates that a journal knows: whose they are, how old, and their fields."""
    return templates.run(directory, as_json=json)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage or configuration."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; the exit code."""
    try:
        code = app(arguments, prog_name="flowfast", standalone_mode=False)
        print(end="", flush=True)  # unlike `sys.stdout.flush()`, at peace with a closed standard output
    except FlowfastError as error:
        print_error(error)
        return error.exit_code
    except typer.TyperException as error:
        mistake = _usage_error(error)
        print_error(mistake)
        return mistake.exit_code
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except OSError as error:  # of standard output: what else can fail is told by the command that meets it
        _silence_stdout()
        print_error(TargetError(f"cannot write to {error.filename or 'standard output'}: {reason(error)}", target_hint(error)))
        return EXIT_FAILED
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_FAILED
    return int(code or 0)


def _silence_stdout() -> None:
    """Give the flush at exit somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage_error(error: typer.TyperException) -> UsageError:
    """A mistake in the flags, in the form of all other mistakes."""
    context = getattr(error, "ctx", None)
    help_hint = f"`{context.command_path if context else 'flowfast'} --help` describes what it takes"
    if type(error).__name__ == "NoSuchOption":
        nearest = getattr(error, "possibilities", None)
        return UsageError(
            f"unknown option `{getattr(error, 'option_name', '')}`", f"did you mean `{nearest[0]}`?" if nearest else help_hint
        )
    message, _, nearest = error.format_message().replace("'", "`").rstrip(".").partition(". Did you mean ")
    return UsageError(message[:1].lower() + message[1:], f"did you mean {nearest}" if nearest else help_hint)
