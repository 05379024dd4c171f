//! Templates (RFC 7011 section 3.4): what a data record looks like.

pub(crate) mod cache;
pub(crate) mod domain;
pub(crate) mod domains;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod options;

use crate::element::ElementId;

/// The length that announces a variable-length field (RFC 7011 section 7).
pub(crate) const VARIABLE: u16 = 65535;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldSpecifier {
    pub(crate) element: ElementId,
    /// Octets in each record, or `VARIABLE`.
    pub(crate) length: u16,
}

/// What a record is about, and so which kind of table its rows go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RecordKind {
    /// Flow Records, packet reports, sFlow flow and discarded-packet samples.
    Data,
    /// Options data (RFC 7011 section 3.4.2).
    Options,
    /// sFlow counter samples.
    Counters,
}

/// The layout of a record, without the id it goes by: equal definitions share one plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Definition {
    pub(crate) fields: Box<[FieldSpecifier]>,
    /// The first so many fields are scope; 0 for Flow Records.
    pub(crate) scope_count: u16,
    pub(crate) kind: RecordKind,
    /// ICMP type and code stand in the destination port (NetFlow v1-v8; spec 2.1.4).
    pub(crate) icmp_in_port: bool,
}

impl Definition {
    /// Octets of the shortest record (RFC 7011 section 9: one octet per variable-length field).
    pub(crate) fn min_record_len(&self) -> usize {
        self.fields
            .iter()
            .map(|f| {
                if f.length == VARIABLE {
                    1
                } else {
                    usize::from(f.length)
                }
            })
            .sum()
    }
}
