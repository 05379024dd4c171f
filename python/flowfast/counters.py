"""The core's counters: what each means, and the sums that people read first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from flowfast.sinks.account import Account

EQUATIONS = (
    "datagrams_received = datagrams_decoded + sum of datagrams_discarded",
    "records_received + biflows_split = records_decoded + records_absorbed",
    "records_decoded = records_queued + sum of records_dropped + records_pending",
    "sets_undecodable = sets_recovered + sum of sets_discarded + sets_late + sets_waiting",
    "records_queued = records_handed + records_dropped of every target, once the queue between them is empty",
    "records_handed = records_written + records_failed + records_deferred + records_in_flight, for every target",
)

COUNTERS: dict[str, str] = {
    "datagrams_received": "Datagrams received.",
    "octets_received": "Their UDP payload, in octets.",
    "datagrams_decoded": "Datagrams decoded: received minus discarded.",
    "datagrams_discarded": "Datagrams of which nothing was kept, by reason.",
    "records_received": "Records in decoded messages whose template was known.",
    "records_decoded": "Rows: records that became rows, and the reverse directions of biflows that became rows of their own.",
    "biflows_split": "Biflows that became two rows (RFC 5103).",
    "records_absorbed": "Options data records that only taught something: the `flows` schema has no rows for them.",
    "options_records_decoded": "Options data records read (RFC 7011 section 3.4.2).",
    "records_queued": "Rows that the workers handed on.",
    "records_dropped": "Rows that the workers could not hand on, by reason.",
    "records_pending": "Rows decoded whose batch has not been closed yet. A gauge.",
    "batches_queued": "Arrow record batches that the workers handed on.",
    "templates_received": "Template records read.",
    "options_templates_received": "Options template records read.",
    "templates_new": "Templates that got their first definition, or another one.",
    "plans_compiled": "Plans compiled for them, and for other layouts of records: those of equal definition share one.",
    "sets_undecodable": "Data sets that could not be decoded when they came: recovered, discarded, late or waiting by now.",
    "sets_waiting": "Data sets that wait now for their template, or for common properties that their records refer to. A gauge.",
    "set_octets_waiting": "Their octets. A gauge.",
    "sets_recovered": "Data sets that waited and were decoded: when what they lacked came, or without common properties that did not come.",
    "sets_discarded": "Data sets that were not decoded, by reason; how many records they held nobody knows.",
    "set_octets_discarded": "Their octets, by reason.",
    "sets_late": "Data sets that waited in vain and went into the journal, to be decoded when their template comes.",
    "set_octets_late": "Their octets.",
    "sequence_lost_records": "Flow Records lost before flowfast, by sequence numbers that count records (v5 to v8, IPFIX).",
    "sequence_lost_packets": "Export packets lost before flowfast, by sequence numbers that count packets (v9, sFlow).",
    "sequence_late_records": "Flow Records of sequence_lost_records that came later than their successors, and so were not lost.",
    "sequence_late_packets": "Export packets of sequence_lost_packets that came later than their successors.",
    "collector_down_records": "Flow Records that exporters sent while no collector ran, by sequence numbers across a restart (v5 to v8, "
    "IPFIX); with the journal.",
    "collector_down_packets": "Export packets that exporters sent while no collector ran, by sequence numbers across a restart (v9, "
    "sFlow); with the journal.",
    "sequence_lost_flow_samples": "sFlow flow samples lost before flowfast, by the sequence of each data source, of lost datagrams too.",
    "sequence_lost_counter_samples": "sFlow counter samples lost before flowfast, by the sequence of each data source.",
    "sequence_lost_discard_samples": "sFlow discarded-packet samples lost before flowfast, by the sequence of each data source.",
    "sequence_late_samples": "sFlow samples counted as lost that came later than their successors.",
    "sample_drops": "Samples that sFlow agents had no resources for, by their own count.",
    "exporter_records_reported": "Flow Records that exporters say they sent between two of their reports (element 42).",
    "exporter_records_arrived": "Flow Records that arrived between the same reports: what is missing was lost, or waits for a template.",
    "exporter_records_not_sent": "Flow Records that exporters say they had and did not send, since their first report (element 166).",
    "exporter_packets_ignored": "Packets that exporters say they saw and did not count, since their first report (element 164).",
    "kernel_drops": "What the kernel dropped because a socket's receive buffer was full: datagrams, or whole trains of them (UDP_GRO) that "
    "it counts as one.",
    "kernel_drops_datagrams": "Datagrams in what the kernel dropped, about: as many in each train as in those that came meanwhile.",
    "trains_received": "Receptions: single datagrams, and trains of several that the kernel put together (UDP_GRO).",
    "receive_errors": "Errors of a socket other than a timeout.",
    "datagrams_journaled": "Datagrams written into the journal.",
    "datagrams_unjournaled": "Datagrams that the journal lacks, because it was stopped or could not be written. They were "
    "decoded all the same.",
    "journal_octets": "Octets written into the journal.",
    "journal_errors": "Failures to write the journal or the templates beside it.",
    "worker_panics": "Faults of flowfast's own that a worker ran into; please report them.",
    "heartbeats": "Times that workers published their counters, about ten a second each: a worker that is stuck has no more of them.",
    "packets_read": "Packets in captures.",
    "packets_learnt": "Packets of a journal that only tell templates, options data and where sequences are; they are not received again.",
    "packets_skipped": "Packets in captures that hold no datagram to decode, by reason.",
    "queue_depth": "Flushes in the queue to the targets. A gauge.",
    "queue_capacity": "How many have room there. A gauge.",
    "workers": "Of a live collector, a list with each worker's index, URI and own counters.",
    "warnings": "Oddities that lost no datagram, by kind.",
}
"""Every counter of `stats()` and what it counts."""

LABELS: dict[str, dict[str, str]] = {
    "datagrams_discarded": {
        "header_truncated": "Shorter than the header of its format.",
        "unknown_version": "A version that no exporter has.",
        "unsupported": "A known version in a form that is not decoded.",
        "count_zero": "NetFlow v1 to v8 without a record.",
        "count_exceeds_length": "NetFlow v1 to v8 that announces more records than it holds.",
        "message_length": "An IPFIX message length below its header or beyond the datagram.",
        "set_length": "A set length below 4.",
        "set_overrun": "A set longer than the rest of its message.",
        "template_overrun": "A template record longer than the rest of its set.",
        "template_id": "A template id below 256.",
        "scope_count": "An options template without a scope, or with more scopes than fields.",
        "variable_overrun": "A variable-length field longer than the rest of its set.",
        "field_length": "With `strict-lengths`, a field of a length that its type does not allow.",
        "list_malformed": "With `strict-lengths`, a list whose values do not fill it.",
        "agent_address_type": "An sFlow agent address of an unknown type.",
        "sample_overrun": "An sFlow sample longer than the rest of its datagram.",
        "sample_length": "An sFlow sample too short for what it is.",
        "record_overrun": "An sFlow record longer than the rest of its sample.",
        "unknown_structure": "An sFlow v2 or v4 structure of an unknown type, which has no length to skip it by.",
        "truncated_receive": "Cut by the receive buffer.",
        "acl": "From a source address that the access lists do not let in.",
        "rate_limited": "More than the rate of its source address.",
        "held": "From a Transport Session that had sent only malformed datagrams.",
        "wrong_protocol": "Not the protocol that the listener's scheme (`netflow`, `sflow`) restricts it to.",
        "worker_panic": "Ran into a fault of flowfast's own.",
    },
    "records_dropped": {
        "queue_full": "The queue to the targets was full.",
        "to_journal": "The queue to the targets was full; the journal gives them again.",
        "closed": "flowfast was told to stop at once.",
        "worker_panic": "Decoded by a worker that then ran into a fault of flowfast's own.",
    },
    "packets_skipped": {
        "fragments": "IP fragments, which are not put together.",
        "not_udp": "Not UDP over IP.",
        "snapped": "Cut by the capture.",
        "other_port": "To other ports than those asked for.",
        "malformed": "Headers that contradict the packet.",
        "unsupported_link": "Of an interface whose link type is not supported.",
    },
    "sets_discarded": {
        "no_template": "No template came in time.",
        "expired_template": "The template was not refreshed in time.",
        "malformed": "The template came, but the set does not fit it.",
    },
    "warnings": {
        "trailing_octets": "Datagrams with octets after their last record.",
        "count_above_maximum": "More records than the format's maximum, all of them there.",
        "unknown_set": "Sets with a reserved or unassigned id, skipped.",
        "count_mismatch": "A v9 header count that is not the number of records.",
        "withdrawal_ignored": "Template withdrawals over UDP, which have no meaning.",
        "template_refused": "Templates whose records would have no length.",
        "template_redefined": "Template ids that got a new definition.",
        "template_evicted": "Templates dropped to stay within a bound.",
        "exporter_evicted": "Exporters dropped to stay within a bound.",
        "original_exporter_refused": "Times that records of a mediator stayed its own, for want of room for the Exporter that they name.",
        "template_ambiguous": "Data sets whose id the sessions of their exporter define differently.",
        "illegal_field_length": "Fields of a length that is illegal for their type, kept as octets.",
        "unknown_element": "Fields whose element is in no registry, kept as octets.",
        "value_out_of_range": "Values that do not fit their column: null.",
        "illegal_boolean": "Booleans other than 1 and 2: null.",
        "illegal_utf8": "Strings that are not UTF-8: null (RFC 7011 section 6.1.6).",
        "list_malformed": "Lists whose values do not fill them exactly, kept as octets (RFC 6313).",
        "list_template_missing": "Lists of records whose template is not known, kept as octets.",
        "list_too_deep": "Lists in more lists than the bound, kept as octets.",
        "list_too_wide": "Lists whose values would need more columns than the bound, kept as octets.",
        "type_info_conflict": "Types told of an element that contradict the registry or what was told before: not believed (RFC 5610).",
        "type_info_ignored": "Types told of an element that have no meaning, or are too many.",
        "flow_keys_ignored": "Flow Keys told of templates that are not known, or of more fields than they have: ignored.",
        "clock_jump": "Jumps of a v9 exporter's clock against its uptime.",
        "netflow9_variable_length": "v9 fields with the IPFIX marker of variable length.",
        "netflow9_options_form": "v9 options templates that count their fields, as IPFIX does, where v9 has lengths.",
        "netflow9_set_id": "Template sets of IPFIX messages under the ids that v9 has for them, read because decoding is lenient.",
        "malformed_tail": "Messages of which lenient decoding kept a part.",
        "out_of_order": "Datagrams that came later than their successors.",
        "duplicate": "Datagrams that came twice.",
        "unknown_sample": "sFlow samples of an unknown type, skipped.",
        "unknown_record": "sFlow records of an unknown type, skipped.",
        "malformed_record": "sFlow records shorter than their type, skipped.",
        "excess_record": "Known sFlow records beyond the 32nd of a sample, skipped.",
        "properties_unknown": "Flow Records that refer to common properties (RFC 5473) which did not come in time: rows without them.",
        "options_refused": "Sampling rates, names and common properties not kept, to stay within the bounds of memory.",
        "sample_source_refused": "sFlow samples whose sequence is not followed, to stay within the bounds on data sources.",
        "exporter_restart": "Restarts of exporters.",
        "state_not_kept": "Sets of templates or options data that the journal had no room to remember.",
    },
}
"""The labels of the counters that have some."""

REFUSED = ("acl", "rate_limited", "held")
"""Labels of `datagrams_discarded` that the settings ask for: no fault of the datagrams, nor a loss."""

Stats = Mapping[str, Any]


def is_gauge(name: str) -> bool:
    """Whether a counter may also fall."""
    return COUNTERS[name].endswith("A gauge.")


def total(stats: Stats, name: str) -> int:
    """A counter, summed over its labels; 0 if this source does not have it."""
    value = stats.get(name, 0)
    return sum(value.values()) if isinstance(value, Mapping) else int(value)


def nonzero(stats: Stats) -> dict[str, Any]:
    """The counters of a whole run, and of labelled ones the labels that counted something."""
    kept: dict[str, Any] = {}
    for name, value in stats.items():
        if isinstance(value, int):
            kept[name] = value
        elif isinstance(value, Mapping) and (labels := {label: count for label, count in value.items() if count}):
            kept[name] = labels
    return kept


@dataclass(frozen=True)
class Snapshot:
    """The sums that tell how a run is going, at one moment."""

    at_s: float
    datagrams: int
    records: int
    exporters: int
    losses: dict[str, int] = field(default_factory=dict)

    @classmethod
    def take(cls, at_s: float, stats: Stats, exporters: int, accounts: Sequence[Account]) -> Self:
        """Sums of `stats()` and the targets' ledgers; `at_s` is a monotonic time."""
        return cls(
            at_s=at_s,
            datagrams=total(stats, "datagrams_received"),
            records=total(stats, "records_decoded"),
            exporters=exporters,
            losses={
                "kernel_drops": total(stats, "kernel_drops"),
                "sequence_lost": total(stats, "sequence_lost_records") + total(stats, "sequence_lost_packets"),
                "datagrams_discarded": total(stats, "datagrams_discarded"),
                "sets_discarded": total(stats, "sets_discarded"),
                "queue_dropped": total(stats, "records_dropped"),
                "targets_dropped": sum(account.records_dropped for account in accounts),
                "targets_failed": sum(account.records_failed for account in accounts),
            },
        )

    def rates_since(self, earlier: Self) -> dict[str, float]:
        """Datagrams and records a second since `earlier`."""
        elapsed_s = max(self.at_s - earlier.at_s, 1e-3)
        return {
            "datagrams_per_s": round((self.datagrams - earlier.datagrams) / elapsed_s, 1),
            "records_per_s": round((self.records - earlier.records) / elapsed_s, 1),
        }
