//! Templates (RFC 7011 section 3.4): what a data record looks like.

pub(crate) mod cache;
pub(crate) mod domain;
pub(crate) mod domains;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod neglect;
pub(crate) mod options;
pub(crate) mod sessions;
pub(crate) mod types;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::element::{ElementId, InformationElement, LearnedElement};
use options::{FieldObject, MibObject};

/// The length that announces a variable-length field (RFC 7011 section 7).
pub(crate) const VARIABLE: u16 = 65535;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldSpecifier {
    pub(crate) element: ElementId,
    /// Octets in each record, or `VARIABLE`.
    pub(crate) length: u16,
}

impl Hash for FieldSpecifier {
    /// By one word, which on the wire has room for all of it: exporters send their templates again and again.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ElementId { pen, id } = self.element;
        state.write_u64(u64::from(pen) << 32 | u64::from(self.length) << 16 ^ u64::from(id));
    }
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
    /// What its exporter told of elements that are in no registry (RFC 5610), by element.
    pub(crate) learned: Box<[(ElementId, Arc<LearnedElement>)]>,
    /// What it told of fields that are MIB objects (RFC 8038), by index.
    pub(crate) objects: Box<[FieldObject]>,
}

impl Definition {
    /// What the exporter told of an element. The registry's definitions are never replaced (FF-TI-02).
    pub(crate) fn learned(&self, element: ElementId) -> Option<&Arc<LearnedElement>> {
        let found = self
            .learned
            .binary_search_by_key(&element, |(id, _)| *id)
            .ok()?;
        Some(&self.learned[found].1)
    }

    /// The MIB object that a field is, if its exporter told.
    pub(crate) fn object(&self, index: usize) -> Option<&Arc<MibObject>> {
        let told = |(field, _): &FieldObject| usize::from(*field).cmp(&index);
        let found = self.objects.binary_search_by(told).ok()?;
        Some(&self.objects[found].1)
    }

    /// What the registry says of an element, or else its exporter.
    pub(crate) fn describe(&self, element: ElementId) -> Option<InformationElement> {
        element
            .describe()
            .or_else(|| Some(self.learned(element)?.describe(element)))
    }

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
