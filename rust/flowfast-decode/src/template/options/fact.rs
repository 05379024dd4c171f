//! What one record of options data says, by the elements it has and not by its template's id (FF-OT-01).

use std::sync::Arc;

use super::objects::ObjectFields;
use super::of_templates::{DirectionFields, FlowKeyFields};
use super::properties::PropertyFields;
use super::rate::RateFields;
use super::report::{Report, ReportFields};
use crate::bytes::be_uint;
use crate::element::{ElementId, NETFLOW9_SCOPE_BASE};
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};
use crate::template::FieldSpecifier;

/// Selectors of one Selection Sequence that are remembered; more have no rate.
const MAX_SELECTORS: usize = 8;

/// What a name is of, or an attribute that is a string. Each has a table of its own (FF-EN-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Naming {
    Interface,
    InterfaceDescription,
    Vrf,
    Application,
    ApplicationDescription,
    ApplicationCategory,
    ApplicationSubCategory,
    ApplicationGroup,
    PeerToPeer,
    Tunnel,
    Encrypted,
}

impl Naming {
    /// Each naming, the element that holds the name, and those that say what it is of.
    const ALL: [(Self, u32, &'static [u32]); 11] = {
        const INTERFACE: &[u32] = &[NETFLOW9_SCOPE_BASE + 2, 10, 14, 252, 253];
        const APPLICATION: &[u32] = &[95];
        [
            (Self::Interface, 82, INTERFACE),
            (Self::InterfaceDescription, 83, INTERFACE),
            (Self::Vrf, 236, &[234, 235]),
            (Self::Application, 96, APPLICATION),
            (Self::ApplicationDescription, 94, APPLICATION),
            (Self::ApplicationCategory, 372, APPLICATION),
            (Self::ApplicationSubCategory, 373, APPLICATION),
            (Self::ApplicationGroup, 374, APPLICATION),
            (Self::PeerToPeer, 288, APPLICATION),
            (Self::Tunnel, 289, APPLICATION),
            (Self::Encrypted, 290, APPLICATION),
        ]
    };

    /// What a field refers to: options data and Flow Records may send it in different lengths.
    pub(crate) fn key(self, field: &[u8]) -> Option<NameKey> {
        let id = match self {
            Self::Interface | Self::InterfaceDescription | Self::Vrf => {
                u128::from(be_uint(field).0)
            }
            _ => application_id(field)?,
        };
        Some(NameKey { of: self, id })
    }
}

/// An application id (RFC 6759 section 4) in one form: Classification Engine ID, for engine 20 the Private Enterprise Number, and
/// the Selector ID, of which leading zeros say nothing. `None`: empty, or longer than any engine's.
fn application_id(field: &[u8]) -> Option<u128> {
    const PANA_L7_PEN: u8 = 20;
    let prefix_len = match field.first()? {
        &PANA_L7_PEN => 5,
        _ => 1,
    };
    let (prefix, selector) = field.split_at_checked(prefix_len)?;
    let zeros = selector.iter().take_while(|octet| **octet == 0).count();
    let selector = &selector[zeros..];
    let mut octets = [0; 16];
    octets[..prefix_len].copy_from_slice(prefix);
    let start = octets
        .len()
        .checked_sub(selector.len())
        .filter(|start| *start >= prefix_len)?;
    octets[start..].copy_from_slice(selector);
    Some(u128::from_be_bytes(octets))
}

/// A name's place in the tables: of what, and of which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameKey {
    pub(super) of: Naming,
    id: u128,
}

/// What a sampling rate holds for: most are of a sampler, an interface or the whole exporter, and never mix (FF-SMP-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RateKey {
    /// 48 samplerId or 302 selectorId.
    Sampler(u64),
    /// 301 selectionSequenceId.
    Sequence(u64),
    /// An ifIndex.
    Interface(u64),
    LineCard(u64),
    Template(u64),
    /// The whole Observation Domain.
    Exporter,
}

/// The selectors that a Selection Sequence applies, one after the other (RFC 5476 section 6.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    selectors: [u64; MAX_SELECTORS],
    len: usize,
}

impl Chain {
    pub(super) fn selectors(&self) -> &[u64] {
        &self.selectors[..self.len]
    }
}

/// One thing that options data says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fact<'a> {
    /// When the exporter started, milliseconds since the UNIX epoch (FF-EN-07).
    Clock(i64),
    Rate(RateKey, f64),
    Chain(u64, Chain),
    Name(NameKey, &'a str),
    /// What the Flow Records share that refer to an id: fields, and their octets (RFC 5473).
    Properties(u64, &'a Arc<[FieldSpecifier]>, &'a [u8]),
    /// 239 biflowDirection of the biflows of a template, or of all that has none of its own.
    BiflowDirection(Option<u16>, u8),
    /// The object identifier of the MIB object that a field is, by template and index (RFC 8038).
    Object((u16, u16), &'a [u8]),
    /// What an object is called, by its object identifier.
    ObjectName(&'a [u8], &'a str),
}

/// What a record may teach about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// When the exporter started. That held for all records of the message, also for those that stand before it.
    Clock,
    /// How it samples, and what it calls its interfaces, VRFs and applications. That holds from here on (FF-SMP-06).
    Names,
}

/// Makes a key of the number that a field holds.
type KeyOf = fn(u64) -> RateKey;

/// Fields of an options template that are understood, by their elements and not by its id (FF-OT-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionsFields {
    /// 160 systemInitTimeMilliseconds (FF-EN-07).
    system_init_time: Option<FieldSource>,
    rate: Option<RateFields>,
    /// What the rate holds for; `None`: the exporter.
    rate_of: Option<(KeyOf, FieldSource)>,
    /// 301 selectionSequenceId, and its 302 selectorIds in their order (FF-PS-02).
    chain: Option<(FieldSource, Box<[FieldSource]>)>,
    /// (of what, its id, its name).
    names: Box<[(Naming, FieldSource, FieldSource)]>,
    properties: Option<PropertyFields>,
    flow_keys: Option<FlowKeyFields>,
    biflow_direction: Option<DirectionFields>,
    objects: Option<ObjectFields>,
    report: Option<Box<ReportFields>>,
}

impl OptionsFields {
    /// `None` if the template has nothing that is understood.
    pub(crate) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        let either = |ids: &[u32]| ids.iter().find_map(|&id| source(id));
        let selectors: Box<[FieldSource]> = layout
            .values()
            .filter(|(_, element, ..)| *element == ElementId::iana(302))
            .map(|(.., source)| source)
            .collect();
        let rate_of: [(KeyOf, &[u32]); 5] = [
            (RateKey::Sampler, &[48, 302]),
            (RateKey::Sequence, &[301]),
            (RateKey::Interface, &[NETFLOW9_SCOPE_BASE + 2, 10, 14]),
            (RateKey::LineCard, &[NETFLOW9_SCOPE_BASE + 3, 141]),
            (RateKey::Template, &[NETFLOW9_SCOPE_BASE + 5, 145]),
        ];
        let rate_of = rate_of
            .into_iter()
            .find_map(|(key, ids)| Some((key, either(ids)?)));
        let names = Naming::ALL
            .into_iter()
            .filter_map(|(of, name, keys)| Some((of, either(keys)?, source(name)?)));
        let found = Self {
            system_init_time: source(160),
            rate: RateFields::find(layout),
            rate_of,
            chain: source(301)
                .filter(|_| (1..=MAX_SELECTORS).contains(&selectors.len()))
                .map(|sequence| (sequence, selectors)),
            names: names.collect(),
            properties: PropertyFields::find(layout),
            flow_keys: FlowKeyFields::find(layout),
            biflow_direction: DirectionFields::find(layout),
            objects: ObjectFields::find(layout),
            report: ReportFields::find(layout).map(Box::new),
        };
        let is_understood = found.system_init_time.is_some()
            || found.rate.is_some()
            || found.chain.is_some()
            || found.report.is_some()
            || found.properties.is_some()
            || found.flow_keys.is_some()
            || found.biflow_direction.is_some()
            || found.objects.is_some()
            || !found.names.is_empty();
        is_understood.then_some(found)
    }

    /// Whether they tell how other records are to be read, so that whoever defines the templates tells it.
    pub(crate) fn are_of_templates(&self) -> bool {
        self.properties.is_some() || self.objects.is_some()
    }

    /// Template id and flowKeyIndicator of each record that has both.
    pub(crate) fn flow_keys<'a>(
        &'a self,
        tile: &'a Tile<'a>,
    ) -> impl Iterator<Item = (u64, u64)> + 'a {
        let fields = self.flow_keys.iter();
        fields.flat_map(move |fields| {
            let value = |record, source| be_uint(tile.field(record, source)).0;
            (0..tile.records).map(move |record| {
                (
                    value(record, fields.template),
                    value(record, fields.indicator),
                )
            })
        })
    }

    /// What the exporter says of itself in the records of a tile, as far as it is about one Observation Domain.
    pub(crate) fn reports<'a>(
        &'a self,
        tile: &'a Tile<'a>,
        domain: Option<u32>,
    ) -> impl Iterator<Item = Report> + 'a {
        let fields = self.report.iter();
        fields.flat_map(move |fields| fields.reports(tile, domain))
    }

    /// Tells every fact of the records of a tile, in their order. `domain`: the Observation Domain of their message.
    pub(super) fn each_fact<'a>(
        &'a self,
        subject: Subject,
        tile: &Tile<'a>,
        domain: Option<u32>,
        mut tell: impl FnMut(Fact<'a>),
    ) {
        for record in 0..tile.records {
            let value = |source| be_uint(tile.field(record, source)).0;
            if subject == Subject::Clock {
                let clock = self.system_init_time.map(value);
                if let Some(clock_ms) = clock.and_then(|value| i64::try_from(value).ok()) {
                    tell(Fact::Clock(clock_ms));
                }
                continue;
            }
            if let Some(fields) = &self.rate
                && let Some(rate) = fields.rate(tile, record)
            {
                let key = self
                    .rate_of
                    .map_or(RateKey::Exporter, |(key, source)| key(value(source)));
                tell(Fact::Rate(key, rate));
            }
            if let Some((sequence, selectors)) = &self.chain {
                let mut chain = Chain {
                    selectors: [0; MAX_SELECTORS],
                    len: selectors.len(),
                };
                for (selector, source) in chain.selectors.iter_mut().zip(selectors) {
                    *selector = value(*source);
                }
                tell(Fact::Chain(value(*sequence), chain));
            }
            for &(of, id, name) in &self.names {
                if let Some(key) = of.key(tile.field(record, id))
                    && let Some(name) = text(tile.field(record, name))
                {
                    tell(Fact::Name(key, name));
                }
            }
            if let Some(PropertyFields { id, fields }) = &self.properties {
                tell(Fact::Properties(value(*id), fields, tile.record(record)));
            }
            if let Some(fields) = &self.biflow_direction
                && let Some(fact) = fields.read(tile, record, domain)
            {
                tell(fact);
            }
            if let Some(fields) = &self.objects {
                fields.read(tile, record, text).for_each(&mut tell);
            }
        }
    }
}

/// A name that is one: up to the first NUL (FF-Q-11), not empty, UTF-8 (RFC 7011 section 6.1.6).
fn text(field: &[u8]) -> Option<&str> {
    let octets = field.split(|&octet| octet == 0).next()?;
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_ids_have_one_form() {
        // FF-EN-03; RFC 6759 section 4: engine 13, selector 453, in three, four and nine octets; engine 20 with PEN 9.
        let id = |octets: &[u8]| application_id(octets);
        let nbar = id(&[13, 1, 0xc5]);
        assert_eq!(nbar, id(&[13, 0, 1, 0xc5]));
        assert_eq!(nbar, id(&[13, 0, 0, 0, 0, 0, 0, 1, 0xc5]));
        assert_ne!(nbar, id(&[3, 1, 0xc5]));
        assert_ne!(id(&[13, 5]), id(&[13, 5, 0]));
        assert_eq!(id(&[20, 0, 0, 0, 9, 1]), id(&[20, 0, 0, 0, 9, 0, 1]));
        assert_ne!(id(&[20, 0, 0, 0, 9, 1]), id(&[20, 0, 0, 9, 1]));
        assert_eq!((id(&[]), id(&[20, 0, 0])), (None, None));
        assert_eq!(id(&[7; 17]), None);
        assert!(
            id(&[7; 16]).is_some()
                && id(&[7, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4]).is_some()
        );
    }

    #[test]
    fn names_end_at_their_padding() {
        assert_eq!(text(b"eth0\0\0garbage"), Some("eth0"));
        assert_eq!(
            (text(b""), text(b"\0x"), text(&[0xff, 0xfe])),
            (None, None, None)
        );
    }
}
