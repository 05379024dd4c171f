"""What senders can make flowfast remember and do, at most: the section `[limits]` of the configuration."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from flowfast.units import parse_duration_s, parse_octets

Count = Annotated[int, Field(ge=1, lt=1 << 32)]
Rate = Annotated[int, Field(ge=0, lt=1 << 32)]
Octets = Annotated[int, BeforeValidator(parse_octets), Field(ge=1, lt=1 << 40)]
Seconds = Annotated[int, BeforeValidator(parse_duration_s), Field(ge=0, lt=1 << 32)]

ADMISSION = ("datagrams_per_second", "records_per_second", "malformed_in_a_row", "malformed_hold")
"""Limits on what of a sender is heard; the others are on what is remembered."""


class Limits(BaseModel):
    """Bounds of each worker. What was dropped to stay within one is counted."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    exporters: Count = Field(
        default=100_000, description="Exporters and Observation Domains remembered; beyond, the most neglected go: `exporter_evicted`."
    )
    templates: Count = Field(default=1_000_000, description="Templates of all exporters; beyond, the most neglected go.")
    templates_per_exporter: Count = Field(
        default=4096,
        le=1 << 16,
        description="Templates of one exporter and Observation Domain, 65,536 at most; beyond, the most neglected go: `template_evicted`.",
    )
    template_fields: Count = Field(default=1 << 20, description="Fields of all templates that differ; beyond, the most neglected go.")
    template_fields_per_exporter: Count = Field(
        default=1 << 17,
        description="Fields of the templates of one exporter and Observation Domain; beyond, templates go: `template_evicted`.",
    )
    template_lifetime: Seconds = Field(
        default=1800, description="A template that was not refreshed for so long is not used (0: for ever): `expired_template`."
    )
    waiting: Octets = Field(default=64 << 20, description="Octets of data sets that wait for a template or for options data.")
    waiting_per_exporter: Octets = Field(default=1 << 20, description="The same of one exporter and Observation Domain.")
    waiting_time: Seconds = Field(default=30, description="How long a data set waits for a template or for options data.")
    options: Octets = Field(default=64 << 20, description="Octets of what options data teaches.")
    options_per_session: Octets = Field(default=1 << 20, description="The same of one Transport Session.")
    list_depth: int = Field(default=8, ge=1, le=64, description="Lists within lists (RFC 6313); deeper ones are kept as octets.")
    sample_sources: Count = Field(default=1 << 18, description="sFlow data sources whose sequences are followed.")
    sample_sources_per_exporter: Count = Field(default=4096, description="The same of one agent.")
    journal_state: Octets = Field(
        default=64 << 20, description="Octets of templates and options data remembered for the journal; beyond: `state_not_kept`."
    )
    journal_state_per_exporter: Octets = Field(default=4 << 20, description="The same of one exporter and Observation Domain.")
    ledger_exporters: Count = Field(
        default=10_000,
        description="Exporters and Observation Domains with a ledger account of their own; beyond, the most neglected share one.",
    )
    queue_batches: Count = Field(default=128, description="Flushes of all workers that wait for the targets; beyond: `queue_full`.")
    datagrams_per_second: Rate = Field(
        default=0, description="Datagrams a second of one source address (0: any number); beyond: `rate_limited`."
    )
    records_per_second: Rate = Field(
        default=0, description="Records a second of one source address (0: any number); beyond: `rate_limited`."
    )
    malformed_in_a_row: Rate = Field(
        default=16,
        description="After so many malformed datagrams in a row a Transport Session is not heard for a while (0: it always is): `held`.",
    )
    malformed_hold: Seconds = Field(default=60, description="For how long.")

    def for_core(self) -> dict[str, int]:
        """As `_core.Collector` takes them."""
        return {name: value for name, value in self.model_dump().items() if name != "queue_batches"}

    def bounds(self) -> dict[str, int]:
        """Those of what is remembered, without what is refused: for datagrams that were let in before."""
        return {name: value for name, value in self.for_core().items() if name not in ADMISSION}

    def admission(self) -> dict[str, int]:
        """Those that say what is refused; they change while flows come in."""
        return {name: getattr(self, name) for name in ADMISSION}
