//! What an exporter tells of itself (RFC 7011 sections 4.1 to 4.3), recognised by its elements (FF-OT-01).

use crate::bytes::be_uint;
use crate::element::ElementId;
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};

/// A total since the process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) value: u64,
    /// It wraps where so many octets end.
    pub(crate) octets: u8,
}

/// What tells reports apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReportKey {
    /// Bit n: the nth total is there.
    pub(crate) totals: u8,
    /// The Metering or Exporting Process; 0: the only one.
    pub(crate) process: u64,
}

/// One record of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Of what: reports of other totals, or of another process, are continued apart.
    pub(crate) of: ReportKey,
    pub(crate) messages: Option<Total>,
    pub(crate) records: Option<Total>,
    pub(crate) octets: Option<Total>,
    pub(crate) packets_ignored: Option<Total>,
    pub(crate) octets_ignored: Option<Total>,
    pub(crate) records_not_sent: Option<Total>,
    pub(crate) packets_not_sent: Option<Total>,
    pub(crate) octets_not_sent: Option<Total>,
}

/// The fields of such a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportFields {
    /// 149 observationDomainId: the message's own, if it is not there.
    domain: Option<FieldSource>,
    /// 143 meteringProcessId or 144 exportingProcessId.
    process: Option<FieldSource>,
    totals: [Option<FieldSource>; 8],
}

impl ReportFields {
    /// `None` if the template has none of the totals.
    pub(super) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        let totals = [41, 42, 40, 164, 165, 166, 167, 168].map(source);
        totals.iter().any(Option::is_some).then_some(Self {
            domain: source(149),
            process: source(143).or(source(144)),
            totals,
        })
    }

    fn mask(&self) -> u8 {
        let bits = self.totals.iter().enumerate();
        bits.fold(0, |mask, (bit, total)| {
            mask | u8::from(total.is_some()) << bit
        })
    }

    /// The reports of a tile's records about one Observation Domain.
    pub(super) fn reports<'a>(
        &'a self,
        tile: &'a Tile<'a>,
        domain: Option<u32>,
    ) -> impl Iterator<Item = Report> + 'a {
        let value = |record, source| be_uint(tile.field(record, source)).0;
        let is_ours = move |&record: &usize| {
            let told = self.domain.map(|source| value(record, source));
            told.is_none_or(|told| domain.map(u64::from) == Some(told))
        };
        (0..tile.records).filter(is_ours).map(move |record| {
            let total = |source: Option<FieldSource>| {
                let field = tile.field(record, source?);
                let (value, is_too_wide) = be_uint(field);
                let octets = u8::try_from(field.len()).ok()?;
                (!is_too_wide && octets > 0).then_some(Total { value, octets })
            };
            let [
                messages,
                records,
                octets,
                packets_ignored,
                octets_ignored,
                rest @ ..,
            ] = self.totals.map(total);
            let [records_not_sent, packets_not_sent, octets_not_sent] = rest;
            Report {
                of: ReportKey {
                    totals: self.mask(),
                    process: self.process.map_or(0, |source| value(record, source)),
                },
                messages,
                records,
                octets,
                packets_ignored,
                octets_ignored,
                records_not_sent,
                packets_not_sent,
                octets_not_sent,
            }
        })
    }
}
