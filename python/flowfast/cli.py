"""The command line: flags in, exit codes out. What the commands do is in `flowfast.commands`."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from flowfast._core import __version__
from flowfast.commands import check_config, collect, convert, doctor, generate, ledger, plan, schema, templates
from flowfast.commands.bench import collect as bench_collect
from flowfast.commands.bench import decode as bench_decode
from flowfast.commands.bench import lossless as bench_lossless
from flowfast.commands.bench import receive as bench_receive
from flowfast.commands.bench.stream import Stream
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
CollectorAddress = Annotated[
    str | None, typer.Option("--http", metavar="ADDRESS", help=f"Where the collector serves HTTP, or `off`. Default: {HTTP_DEFAULT}.")
]
To = Annotated[list[str] | None, typer.Option("--to", metavar="TARGET", help=f"{_help('to')} Repeatable. Default: `-`.")]
Schema = Annotated[str | None, typer.Option("--schema", metavar="flows|wire", help=f"{_help('schema_')} Default: flows.")]
Columns = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help=f"{_help('columns')} Repeatable, or with commas. Default: standard.")
]
StrictLengths = Annotated[bool | None, typer.Option("--strict-lengths", help=_help("strict_lengths"))]
Lenient = Annotated[bool | None, typer.Option("--lenient", help=_help("lenient"))]
Mediators = Annotated[
    list[str] | None, typer.Option("--mediators", metavar="NETWORK", help=f"{_help('mediators')} Repeatable, or with commas.")
]
Biflow = Annotated[str | None, typer.Option("--biflow", metavar="keep|split", help=f"{_help('biflow')} Default: keep.")]


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
    allow: Annotated[list[str] | None, typer.Option(metavar="NETWORK", help=f"{_help('allow')} Repeatable.")] = None,
    deny: Annotated[list[str] | None, typer.Option(metavar="NETWORK", help=f"{_help('deny')} Repeatable.")] = None,
    strict_lengths: StrictLengths = None,
    lenient: Lenient = None,
    http: Annotated[str | None, typer.Option(metavar="ADDRESS", help=f"{_help('http')} Default: {HTTP_DEFAULT}.")] = None,
    biflow: Biflow = None,
    mediators: Mediators = None,
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
        "allow": allow or None,
        "deny": deny or None,
        "strict-lengths": strict_lengths,
        "lenient": lenient,
        "http": http,
        "biflow": biflow,
        "mediators": mediators or None,
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
    strict_lengths: StrictLengths = None,
    lenient: Lenient = None,
    biflow: Biflow = None,
    mediators: Mediators = None,
) -> int:
    """Decode captures (pcap, pcapng)."""
    flags = {
        "to": to or None,
        "schema": schema_,
        "columns": columns or None,
        "workers": workers,
        "rotate": rotate,
        "strict-lengths": strict_lengths,
        "lenient": lenient,
        "biflow": biflow,
        "mediators": mediators or None,
    }
    return convert.run(inputs, port or (), load(flags, None, {}))


@app.command("generate")
def generate_command(
    *,
    to: Annotated[str | None, typer.Option(metavar="URI", help="Where to send, such as udp://127.0.0.1:2055.")] = None,
    write: Annotated[str | None, typer.Option(metavar="FILE", help="A pcap file to write.")] = None,
    format: Annotated[str, typer.Option(metavar="v5|v9|ipfix|sflow", help="What to export.")] = "ipfix",
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
    single: Annotated[
        bool, typer.Option("--single", help="Send each datagram in a system call of its own, as exporters do, instead of trains.")
    ] = False,
) -> int:
    """Export synthetic flows, and print what was sent as one JSON line."""
    return generate.run(
        to=to,
        write=write,
        format=format,
        count=count,
        rate=rate,
        order=order,
        template=template,
        exporters=exporters,
        seed=seed,
        single=single,
    )


@app.command("ledger")
def ledger_command(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a rotating target: of `parquet:DIR` or `arrow:DIR`.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only from then on: 90s, 15m or 24h before now, or a time such as 2026-11-22T14:00 (UTC)."),
    ] = None,
    exporter: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only what this exporter sent.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Say where the flows went: what was received, what was lost, why, and whether it adds up."""
    return ledger.run(directory, since, exporter, as_json=json)


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
    http: CollectorAddress = None,
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
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="What `flowfast collect` writes to, or its journal. Default: ask the collector that runs."),
    ] = None,
    config: ConfigFile = None,
    http: CollectorAddress = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """List the templates that a collector or a journal knows: whose they are, how old, how much used, and their fields."""
    return templates.run(directory, load({"http": http}, config_path(config), os.environ), as_json=json)


@app.command("plan")
def plan_command(
    *,
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="A template of `flowfast generate`: v5, v9-19, ipfix-25, set-a, minimal.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="Order of its fields: canonical, reversed, shuffled, worst, as-listed. Default: canonical."),
    ] = None,
    capture: Annotated[
        str | None, typer.Option(metavar="FILE", help="The templates in a pcap or pcapng file, as they are at its end.")
    ] = None,
    schema_: Annotated[str, typer.Option("--schema", metavar="flows|wire", help=_help("schema_"))] = "flows",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Say what becomes of each field of a template: where it stands, what is done to it, which column it goes to."""
    if (template is None) == (capture is None):
        raise UsageError("the plan of what?", "give either `--template NAME` or `--capture FILE`")
    if capture is not None and order is not None:
        raise UsageError("a capture has the order it has", "leave out `--order`")
    given = {"template": template, "order": order, "capture": capture}
    return plan.run({name: value for name, value in given.items() if value is not None}, schema=schema_, as_json=json)


def _given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those of these options that the command line has, be it with their default."""
    sources = ((name, context.get_parameter_source(name)) for name in names)
    return [name for name, source in sources if source is not None and source.name == "COMMANDLINE"]


bench = typer.Typer(help="Measure the speed of this machine.")
app.add_typer(bench, name="bench")

BenchTemplate = Annotated[
    str, typer.Option("--template", metavar="NAME", help="Which fields a record has: v5, v9-19, ipfix-25, set-a, minimal.")
]
BenchOrder = Annotated[
    str, typer.Option("--order", metavar="ORDER", help="Order of the fields: canonical, reversed, shuffled, worst, as-listed.")
]
BenchRate = Annotated[int, typer.Option("--rate", min=1, metavar="R", help="Flow Records sent a second.")]
BenchSeconds = Annotated[float, typer.Option("--seconds", min=0.1, max=600, metavar="S", help="How long a run sends.")]
BenchRuns = Annotated[int, typer.Option("--runs", min=1, max=100, metavar="N", help="Runs, of which the median counts.")]
BenchJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


@bench.command("decode")
def bench_decode_command(
    context: typer.Context,
    *,
    template: BenchTemplate = "ipfix-25",
    capture: Annotated[str | None, typer.Option(metavar="FILE", help="A pcap or pcapng file in place of a template.")] = None,
    order: BenchOrder = "canonical",
    kernel: Annotated[
        str, typer.Option(metavar="NAME", help="auto, scalar (without transposing short neighbours) or plain (record by record).")
    ] = "auto",
    exporters: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Exporters, by turns.")] = 1,
    templates: Annotated[
        int,
        typer.Option(
            min=1, max=100, metavar="N", help="Templates of each Exporter, by turns; with `--order shuffled` each in an order of its own."
        ),
    ] = 1,
    records: Annotated[int, typer.Option(min=1, metavar="N", help="Records of a run, at least.")] = 1_000_000,
    runs: BenchRuns = 5,
    schema_: Annotated[str, typer.Option("--schema", metavar="flows|wire", help=_help("schema_"))] = "flows",
    columns: Columns = None,
    json: BenchJson = False,
) -> int:
    """Decode in memory, in one thread: records per CPU-second, beside a plain decoder and beside copying."""
    load: dict[str, Any] = {"template": template, "order": order, "exporters": exporters, "templates": templates}
    if capture is not None:
        if given := _given(context, load):
            raise UsageError(
                f"a capture has its own records, which `--{given[0]}` cannot change", f"leave out `--{given[0]}` or `--capture`"
            )
        load = {"capture": capture}
    return bench_decode.run(
        load, kernel=kernel, records=records, runs=runs, schema=schema_, columns=split_list(columns) if columns else None, as_json=json
    )


@bench.command("receive")
def bench_receive_command(
    *,
    template: BenchTemplate = "ipfix-25",
    order: BenchOrder = "canonical",
    rate: BenchRate = 500_000,
    seconds: BenchSeconds = 3,
    runs: BenchRuns = 3,
    columns: Columns = None,
    json: BenchJson = False,
) -> int:
    """Receive into Arrow over loopback, with and without trains of datagrams, beside receiving and counting only."""
    names = split_list(columns or "standard")
    return bench_receive.run(template=template, order=order, rate=rate, seconds=seconds, runs=runs, columns=names, as_json=json)


@bench.command("collect")
def bench_collect_command(
    *,
    to: Annotated[
        str, typer.Option(metavar="TARGET", help="Where rows go; what is written is removed again. A directory must be there already.")
    ],
    template: BenchTemplate = "ipfix-25",
    order: BenchOrder = "canonical",
    rate: BenchRate = 300_000,
    seconds: BenchSeconds = 4,
    runs: BenchRuns = 3,
    columns: Columns = None,
    json: BenchJson = False,
) -> int:
    """The whole way to durable files: CPU time and octets per record, and the share of each stage."""
    names = split_list(columns or "standard")
    return bench_collect.run(to=to, template=template, order=order, rate=rate, seconds=seconds, runs=runs, columns=names, as_json=json)


@bench.command("lossless")
def bench_lossless_command(
    *,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="A collector and flags of its own: self, nfcapd, goflow2, nfacctd, or any command line with {port}. "
            "Repeatable. Default: all that are installed.",
        ),
    ] = None,
    count: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Writes how many flows any other command line has stored in its directory.")
    ] = None,
    template: BenchTemplate = "ipfix-25",
    order: BenchOrder = "canonical",
    trains: Annotated[bool, typer.Option("--trains", help="Send trains of datagrams instead of single ones.")] = False,
    rate: Annotated[int | None, typer.Option(min=1, metavar="R", help="Only this rate, in Flow Records a second: no search.")] = None,
    seconds: BenchSeconds = 4,
    resolution: Annotated[float, typer.Option(min=0.001, max=1, metavar="SHARE", help="How far to narrow the rate down.")] = 0.1,
    repeats: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Trials without loss that a rate needs.")] = 2,
    json: BenchJson = False,
) -> int:
    """The highest rate without loss, of flowfast and of other collectors."""
    stream = Stream(template, order, trains, seconds)
    return bench_lossless.run(
        targets=target or (),
        count=count,
        stream=stream,
        rate=rate,
        resolution=resolution,
        repeats=repeats,
        as_json=json,
    )


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage or configuration."""
    code = run(sys.argv[1:])
    with suppress(OSError):  # what is told of a failed standard output has been told
        print(end="", flush=True)
    # All is written, and freeing every object of every library first takes the interpreter 60 ms of CPU time.
    os._exit(code)


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
