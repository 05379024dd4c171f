//! Faults of datagrams (counted, never thrown) and of options (told to a person).

/// Declares the fault enum with its counter names, so that neither can be forgotten.
macro_rules! faults {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every variant, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// The counter's label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }
    };
}

faults! {
    /// Why a whole datagram was discarded. One octet, one counter each.
    DecodeError {
        /// Shorter than its format's header (FF-NF-01, FF-IX-03).
        HeaderTruncated = "header_truncated",
        /// A version that no exporter has (FF-IX-01, FF-NF-10).
        UnknownVersion = "unknown_version",
        /// A known version in a form that is not decoded (FF-NF-09).
        Unsupported = "unsupported",
        /// NetFlow v1-v8 with no record in it (FF-NF-01).
        CountZero = "count_zero",
        /// NetFlow v1-v8 that announces more records than it holds (FF-NF-01).
        CountExceedsLength = "count_exceeds_length",
        /// IPFIX message length below its header or beyond the datagram (FF-IX-03, FF-IX-04).
        MessageLength = "message_length",
        /// Set length below 4 (FF-IX-03).
        SetLength = "set_length",
        /// Set longer than the rest of its message (FF-IX-03).
        SetOverrun = "set_overrun",
        /// Template record longer than the rest of its set (FF-IX-03).
        TemplateOverrun = "template_overrun",
        /// Template id below 256 (FF-IX-14).
        TemplateId = "template_id",
        /// Options template without a scope, or with more scopes than fields (FF-IX-13).
        ScopeCount = "scope_count",
        /// Variable-length field longer than the rest of its set (FF-IX-03).
        VariableOverrun = "variable_overrun",
        /// With strict lengths: field of a length that is illegal for its type (RFC 7011 section 6.2; FF-DT-02).
        FieldLength = "field_length",
        /// With strict lengths: list whose values do not fill it exactly (RFC 6313; FF-SD-04).
        ListMalformed = "list_malformed",
        /// sFlow agent address that is neither IPv4 nor IPv6.
        AgentAddressType = "agent_address_type",
        /// sFlow sample beyond the end of the datagram (FF-SF-06).
        SampleOverrun = "sample_overrun",
        /// sFlow v5 sample shorter than its layout.
        SampleLength = "sample_length",
        /// sFlow v5 record longer than the rest of its sample (FF-SF-06).
        RecordOverrun = "record_overrun",
        /// sFlow v2 or v4 structure of unknown type: its length is unknown, too.
        UnknownStructure = "unknown_structure",
        /// Cut by the receive buffer.
        TruncatedReceive = "truncated_receive",
        /// Of a protocol that its listener does not take.
        WrongProtocol = "wrong_protocol",
        /// The access lists do not let its source address in.
        Acl = "acl",
        /// More than the rate of its source address.
        RateLimited = "rate_limited",
        /// Its Transport Session sent only malformed datagrams before (FF-TR-07).
        Held = "held",
        /// The decoder panicked: our bug.
        WorkerPanic = "worker_panic",
    }
}

impl DecodeError {
    /// The reason under which the datagram appears in the ledger (FF-RB-02).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnknownVersion
            | Self::Unsupported
            | Self::TruncatedReceive
            | Self::WrongProtocol
            | Self::Acl
            | Self::RateLimited
            | Self::Held
            | Self::WorkerPanic => self.label(),
            _ => "malformed",
        }
    }
}

faults! {
    /// Things worth counting that lose no datagram.
    Warning {
        /// Octets after the last record or the message (FF-NF-02, FF-IX-04), in datagrams.
        TrailingOctets = "trailing_octets",
        /// More records than the format's maximum, all of them there (FF-NF-01).
        CountAboveMaximum = "count_above_maximum",
        /// Sets with a reserved or unassigned id, skipped by length (FF-IX-05).
        UnknownSet = "unknown_set",
        /// v9 header count that is not the number of records (FF-V9-03).
        CountMismatch = "count_mismatch",
        /// Withdrawals over UDP, ignored (FF-TL-04).
        WithdrawalIgnored = "withdrawal_ignored",
        /// Templates whose records would have no length, refused (FF-V9-13).
        TemplateRefused = "template_refused",
        /// Template ids redefined (FF-TL-09, FF-V9-05).
        TemplateRedefined = "template_redefined",
        /// Templates dropped to stay within a bound (FF-TL-14).
        TemplateEvicted = "template_evicted",
        /// Exporters dropped to stay within a bound (FF-RB-04).
        ExporterEvicted = "exporter_evicted",
        /// Times that records of a mediator stayed its own, for want of room for the Exporter that they name (FF-Q-10, FF-RB-04).
        OriginalExporterRefused = "original_exporter_refused",
        /// Data sets that no template was used for because the sessions of that address define its id differently.
        TemplateAmbiguous = "template_ambiguous",
        /// Fields of a length that is illegal for their type, kept as octets (FF-DT-02).
        IllegalFieldLength = "illegal_field_length",
        /// Fields whose element is in no registry, kept as octets (FF-IX-17).
        UnknownElement = "unknown_element",
        /// Values that do not fit their column: null (FF-DT-04, FF-RB-05).
        ValueOutOfRange = "value_out_of_range",
        /// Booleans other than 1 and 2: null (RFC 7011 section 6.1.5).
        IllegalBoolean = "illegal_boolean",
        /// Strings that are not UTF-8: null (RFC 7011 section 6.1.6).
        IllegalUtf8 = "illegal_utf8",
        /// Lists whose values do not fill them exactly, kept as octets (RFC 6313; FF-SD-04).
        ListMalformed = "list_malformed",
        /// Lists of records whose template is not known, kept as octets (FF-SD-05).
        ListTemplateMissing = "list_template_missing",
        /// Lists in more lists than the bound, kept as octets (FF-SD-03).
        ListTooDeep = "list_too_deep",
        /// Lists whose values would need more columns than the bound, kept as octets.
        ListTooWide = "list_too_wide",
        /// Types told of an element that contradict the registry or what the same session told before: not believed (RFC 5610; FF-TI-02,
        /// FF-TI-03).
        TypeInfoConflict = "type_info_conflict",
        /// Types told of an element that have no meaning, or are too many (FF-TI-06).
        TypeInfoIgnored = "type_info_ignored",
        /// Flow Keys told of templates that are not known, or of more fields than they have (FF-OT-03).
        FlowKeysIgnored = "flow_keys_ignored",
        /// Jumps of a v9 exporter's clock against its uptime (FF-V9-10).
        ClockJump = "clock_jump",
        /// v9 fields with the IPFIX variable-length marker (FF-V9-12).
        Netflow9VariableLength = "netflow9_variable_length",
        /// v9 options templates that count fields where they should have lengths (FF-Q-04).
        Netflow9OptionsForm = "netflow9_options_form",
        /// Template sets of IPFIX messages under v9's ids, read because decoding is lenient (FF-Q-04).
        Netflow9SetId = "netflow9_set_id",
        /// Messages kept in part because decoding is lenient (FF-IX-03).
        MalformedTail = "malformed_tail",
        /// Datagrams that arrived later than their successors (FF-NF-05).
        OutOfOrder = "out_of_order",
        /// Datagrams that arrived twice (FF-SQ-04).
        Duplicate = "duplicate",
        /// sFlow samples of a type that is not decoded, skipped by length (FF-SF-01).
        UnknownSample = "unknown_sample",
        /// sFlow records of a type that is not decoded, skipped by length (FF-SF-01).
        UnknownRecord = "unknown_record",
        /// sFlow records shorter than their layout, skipped by length.
        MalformedRecord = "malformed_record",
        /// sFlow records beyond the number that one sample can have, skipped by length.
        ExcessRecord = "excess_record",
        /// Flow Records that refer to common properties which did not come in time: their columns are null (RFC 5473; FF-EN-06).
        PropertiesUnknown = "properties_unknown",
        /// Sampling rates, names and common properties of options data not kept, to stay within a bound (FF-RB-04).
        OptionsRefused = "options_refused",
        /// sFlow samples whose sequence is not followed, to stay within a bound on sources (FF-RB-04).
        SampleSourceRefused = "sample_source_refused",
        /// Exporter restarts seen (FF-Q-06).
        ExporterRestart = "exporter_restart",
        /// Templates or options data that the journal cannot keep for want of room.
        StateNotKept = "state_not_kept",
    }
}

faults! {
    /// Why a data set could not be decoded: its octets are counted, its records are unknown.
    SetLoss {
        /// No template came in time (FF-V9-07).
        NoTemplate = "no_template",
        /// The template was not refreshed in time (FF-V9-06, FF-TL-10).
        ExpiredTemplate = "expired_template",
        /// The template came, but the set does not fit it.
        Malformed = "malformed",
    }
}

faults! {
    /// Why decoded records did not get into the queue.
    RecordLoss {
        /// The queue was full.
        QueueFull = "queue_full",
        /// The queue was full; the journal gives them again.
        ToJournal = "to_journal",
        /// The consumer was gone.
        Closed = "closed",
        /// The decoder that held them panicked: our bug.
        WorkerPanic = "worker_panic",
    }
}

/// Options that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// No column, group or element has this name.
    #[error("unknown column `{name}`")]
    UnknownColumn {
        /// As given.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
    },
}
