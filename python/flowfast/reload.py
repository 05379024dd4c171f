"""Which settings change while flows come in, and which need a restart."""

from collections.abc import Iterable
from dataclasses import dataclass

from flowfast.config import Settings

LIVE = ("to", "rotate", "when_full", "allow", "deny")
"""Settings that a reload changes, beside the limits on what is heard of a sender. The sockets, the workers and what they have learned of
exporters stay as they are."""


@dataclass(frozen=True)
class Plan:
    """What a reload does."""

    settings: Settings
    """The settings in effect after it."""
    changed: tuple[str, ...]
    """Names of settings that change."""
    refused: tuple[str, ...]
    """Names of settings that were changed in the configuration and stay as they are until a restart."""


def plan(present: Settings, wanted: Settings, *, journaled: bool = False) -> Plan:
    """The way from the settings in effect to those wanted, as far as it goes without a restart.

    `journaled`: a journal is open, and cannot move: so the first rotating target stays, which has it unless `journal-dir` is set.
    """
    moves = journaled and present.journal_directory != present.model_copy(update={"to": wanted.to}).journal_directory
    live_names = [name for name in LIVE if not (name == "to" and moves)]
    different = [name for name in Settings.model_fields if getattr(present, name) != getattr(wanted, name)]
    live = {name: getattr(wanted, name) for name in different if name in live_names}
    limits = present.limits.model_copy(update=wanted.limits.admission())
    if limits != present.limits:
        live["limits"] = limits
    return Plan(
        settings=present.model_copy(update=live),
        changed=_names(live),
        refused=_names(name for name in different if live.get(name) != getattr(wanted, name)),
    )


def _names(fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(Settings.model_fields[name].alias) for name in fields)
