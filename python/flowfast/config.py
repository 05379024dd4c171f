"""The settings of `flowfast collect`: flag over environment over file over default, every mistake named with where it was made."""

import ipaddress
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flowfast.endpoint import HttpAddress
from flowfast.errors import UsageError, nearest_hint, reason
from flowfast.limits import Limits
from flowfast.units import parse_duration_s, parse_octets
from flowfast.uris import DEFAULT_LISTEN, ListenUri, Target, parse_listen

HTTP_DEFAULT = "127.0.0.1:8080"
CONFIG_VARIABLE = "FLOWFAST_CONFIG"
CONFIG_DEFAULT = Path("/etc/flowfast/flowfast.toml")
ENVIRONMENT_PREFIX = "FLOWFAST_CFG_"
SECTION = "collect"
LIMITS = "limits"
_HOUR_S = 3600


def split_list(value: object) -> list[str]:
    """A list of words out of one string with commas, or out of several of them."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, str) for each in given):
        raise ValueError("not a list of texts")
    return [word.strip() for text in given for word in text.split(",") if word.strip()]


def _listen(value: object) -> tuple[ListenUri, ...]:
    uris = parse_listen(split_list(value))
    if not uris:
        raise UsageError("nothing to listen on", "leave `listen` out to listen on the three default ports")
    return uris


def parse_targets(value: object) -> tuple[Target, ...]:
    """Targets out of one text or a list of them, each only once. Raises UsageError."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not given:
        raise ValueError("not a list of targets")
    targets = tuple(Target.parse(str(each)) for each in given)
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"`{target}` is given twice", "name each target once")
    return targets


def parse_rotation_s(value: str | int) -> int:
    """Seconds of a rotation interval, which must divide an hour, for files lie in a directory for each hour."""
    seconds = parse_duration_s(value)
    if seconds < 1 or _HOUR_S % seconds:
        divisors = [each for each in range(1, _HOUR_S + 1) if _HOUR_S % each == 0]
        nearest = min(divisors, key=lambda each: abs(each - seconds))
        raise UsageError(
            f"an hour is not a whole number of intervals of {seconds} s", f"choose one that divides an hour, such as {nearest}s"
        )
    return seconds


def _networks(value: object) -> tuple[str, ...]:
    networks = split_list(value)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise UsageError(f"`{network}` is no network", "write 192.0.2.0/24, 2001:db8::/32 or one address") from error
    return tuple(networks)


class Decoding(TypedDict):
    """Arguments of `_core.Collector` and `_core.Replay`."""

    schema: str
    columns: Sequence[str]
    strict_lengths: bool
    lenient: bool
    biflow: str
    mediators: Sequence[str]


class Settings(BaseModel):
    """What `flowfast collect` does, and `convert` as far as it has the flags, whose names these are."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, alias_generator=lambda name: name.rstrip("_").replace("_", "-")
    )

    listen: Annotated[tuple[ListenUri, ...], BeforeValidator(_listen)] = Field(
        default=parse_listen(DEFAULT_LISTEN),
        description="Where to listen: `udp://ADDRESS:PORT`, or goflow2's `netflow://`, `sflow://` and `flow://`; several, "
        "separated by commas. `?count=N` sets the workers of one listener.",
    )
    to: Annotated[tuple[Target, ...], BeforeValidator(parse_targets)] = Field(
        default=(Target.parse("-"),),
        description="Where rows go: `parquet:DIR` or `arrow:DIR` (rotating files), a file ending in .parquet, .arrow, .ndjson or .csv, "
        "`-` (NDJSON on standard output), or `null:` (count and forget).",
    )
    rotate: Annotated[int, BeforeValidator(parse_rotation_s)] = Field(
        default=60, description="How long a rotating file is written: 300, 90s, 5m or 1h; it must divide an hour."
    )
    workers: int = Field(default=1, ge=1, le=256, description="Workers of each listener, one thread and one socket each.")
    schema_: Literal["flows", "wire"] = Field(
        default="flows", description="`flows`: one stable table for every version. `wire`: what was sent, a table for each set of elements."
    )
    columns: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=("standard",),
        description="Columns of the `flows` table: names, groups (`minimal`, `standard`, `full`), elements of the registry.",
    )
    rcvbuf: Annotated[int, BeforeValidator(parse_octets)] = Field(
        default=32 << 20, ge=4096, lt=1 << 31, description="Octets of receive buffer asked of the kernel for each socket: 65536, 512K, 32M."
    )
    when_full: Literal["drop", "block"] = Field(
        default="drop",
        description="What to do when a target is slower than the flows: `drop` its rows and count them, or `block`, "
        "which moves the loss to the kernel.",
    )
    strict_lengths: bool = Field(
        default=False,
        description="An IPFIX message is malformed if a field has a length that its type does not allow or a list does not fill its field. "
        "Without this, the octets of such a field are kept.",
    )
    lenient: bool = Field(
        default=False,
        description="Keep the sets before the fault of a malformed message instead of discarding all of it, and read template sets of "
        "IPFIX messages under the ids that NetFlow v9 has for them (0 and 1) instead of skipping them.",
    )
    biflow: Literal["keep", "split"] = Field(
        default="keep",
        description="Biflows in the `flows` table: `keep` the reverse counters beside the forward ones, or `split` into a row for each "
        "direction.",
    )

    mediators: Annotated[tuple[str, ...], BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks of mediators and proxies, by source address: their records and options data are those of the Exporter that "
        "they name (elements 403 and 404, else 130 and 131).",
    )
    journal: Literal["on", "off", "keep"] = Field(
        default="on",
        description="For rotating files: write datagrams to disk before they are decoded, so that a crash neither loses nor "
        "doubles any; `keep` keeps them after that, too.",
    )
    journal_dir: Path | None = Field(default=None, description="Where the journal is. Default: `journal` in the first rotating target.")
    journal_size: Annotated[int, BeforeValidator(parse_octets)] = Field(
        default=16 << 30,
        ge=1 << 20,
        description="Octets that the journal may take, about; beyond that it stops and reception goes on without it: 512M, 16G. "
        "Of `keep`, the oldest goes.",
    )
    allow: Annotated[tuple[str, ...], BeforeValidator(_networks)] = Field(
        default=(), description="Networks that are heard, such as 192.0.2.0/24 or 2001:db8::/32, by source address; none: all."
    )
    deny: Annotated[tuple[str, ...], BeforeValidator(_networks)] = Field(
        default=(), description="Networks that are not heard, whatever `allow` says."
    )
    http: Annotated[HttpAddress, BeforeValidator(HttpAddress.parse)] = Field(
        default=HttpAddress.parse(HTTP_DEFAULT),
        description="Where to serve metrics, health and state over HTTP, without authentication: `ADDRESS:PORT`, or `off`.",
    )

    limits: Limits = Field(default=Limits(), description="What senders can make flowfast remember and do, at most.")

    @property
    def blocks(self) -> bool:
        """Whether reception waits for a slow target, by `when-full` or by goflow2's `blocking=true` on a listener."""
        return self.when_full == "block" or any(uri.blocking for uri in self.listen)

    @property
    def rotating_roots(self) -> tuple[Path, ...]:
        """Directories of the targets that rotate."""
        return tuple(target.path for target in self.to if target.layout == "directory")

    @property
    def journal_directory(self) -> Path | None:
        """Where the journal is; None if there is none."""
        if self.journal == "off" or not self.rotating_roots:
            return None
        return self.journal_dir or self.rotating_roots[0] / "journal"

    @property
    def rotation_s(self) -> int:
        """Seconds of an interval, 0 if no target rotates."""
        return self.rotate if self.rotating_roots else 0

    @property
    def decoding(self) -> Decoding:
        """How datagrams become rows, as everything in the core takes it that decodes."""
        return {
            "schema": self.schema_,
            "columns": self.columns,
            "strict_lengths": self.strict_lengths,
            "lenient": self.lenient,
            "biflow": self.biflow,
            "mediators": self.mediators,
        }

    @property
    def keeps_ledger(self) -> bool:
        """Whether a target has a ledger beside its flows."""
        return any(target.keeps_ledger for target in self.to)


def setting_names() -> list[str]:
    """Names of the settings as flags and files have them: `when-full`."""
    return _names(Settings)


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if name != LIMITS]


def config_path(given: Path | None) -> Path | None:
    """The configuration file: the one given, or `$FLOWFAST_CONFIG`, or the default one if it exists."""
    if given is not None:
        return given
    if variable := os.environ.get(CONFIG_VARIABLE):
        return Path(variable)
    return CONFIG_DEFAULT if CONFIG_DEFAULT.exists() else None


def load(flags: Mapping[str, Any], file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Settings from flags (None: not given) over environment over file over defaults. Raises UsageError."""
    layers = [
        *_from_file(file),
        *_from_environment(environment),
        *((name, value, f"--{name}") for name, value in flags.items() if value is not None),
    ]
    values: dict[str, Any] = {LIMITS: {}}
    for name, value, _ in layers:
        section, _, limit = name.rpartition(".")
        (values[section] if section else values)[limit] = value
    origins = {name: origin for name, _, origin in layers}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _sentence(error, origins) from error


def _from_file(file: Path | None) -> Iterator[tuple[str, Any, str]]:
    if file is None:
        return
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {reason(error)}", f"check --config and ${CONFIG_VARIABLE}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {file}: octet {error.start} is not UTF-8", "TOML files are UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"cannot read {file}: {_lower_first(str(error))}", "the configuration guide has an example") from error
    for section, content in document.items():
        if section not in (SECTION, LIMITS) or not isinstance(content, dict):
            raise UsageError(f"{file} has an unknown section `{section}`", f"settings stand under `[{SECTION}]` and `[{LIMITS}]`")
        for name, value in content.items():
            yield _known(section, name, f"{file}"), value, f"`{name}` in {file}"


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        section, _, key = variable.removeprefix(ENVIRONMENT_PREFIX).partition("_")
        if section.lower() not in (SECTION, LIMITS) or not section.isupper() or not key:
            raise UsageError(f"${variable} sets an unknown section", f"settings are `{ENVIRONMENT_PREFIX}{SECTION.upper()}_KEY`")
        name = _known(section.lower(), key.lower().replace("_", "-"), "the environment")
        yield name, split_list(value) if name == "to" else value, f"${variable}"


def _known(section: str, name: str, where: str) -> str:
    """The name among all settings: those of `[limits]` are `limits.NAME`."""
    names = _names(Limits if section == LIMITS else Settings)
    if name not in names:
        raise UsageError(f"{where} has an unknown setting `{name}`", nearest_hint(name, names))
    return f"{LIMITS}.{name}" if section == LIMITS else name


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    """The first mistake as one sentence; our own errors keep their hints."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in (first["loc"][:2] if first["loc"][0] == LIMITS else first["loc"][:1]))
    origin = origins.get(name, name)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return UsageError(f"{origin}: {cause}", cause.hint)
    if first["type"] == "literal_error":
        given = str(first["input"])
        expected = [each.strip("'") for each in str(first["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        return UsageError(f"{origin}: `{given}` is not one of {', '.join(expected)}", nearest_hint(given, expected))
    return UsageError(f"{origin}: {_lower_first(str(cause or first['msg']))}", "`flowfast collect --help` describes every setting")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def dump(settings: Settings) -> str:
    """The settings in effect, as a configuration file."""
    lines = [f"[{SECTION}]", *_dump(settings), "", f"[{LIMITS}]", *_dump(settings.limits)]
    return "\n".join(lines)


def _dump(model: BaseModel) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None or isinstance(value, Limits):
            continue
        plain = (
            [str(each) for each in value] if isinstance(value, tuple) else str(value) if isinstance(value, Path | HttpAddress) else value
        )
        yield f"{field.alias} = {json.dumps(plain, ensure_ascii=False)}"
