//! What options data says of whole templates: the direction of their biflows, and their Flow Keys.

use super::fact::Fact;
use crate::bytes::be_uint;
use crate::element::{ElementId, NETFLOW9_SCOPE_BASE};
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};

/// 239 biflowDirection, and what it holds for (RFC 5103 section 6.3; FF-BI-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectionFields {
    direction: FieldSource,
    /// 145 templateId; `None`: the biflows of every template.
    template: Option<FieldSource>,
    /// 149 observationDomainId: the message's own, if it is not there.
    domain: Option<FieldSource>,
}

impl DirectionFields {
    /// Scopes that hold for whole templates, and not for some of their records: v9's System and Template, exporter, processes.
    const SCOPES: [u32; 8] = [
        NETFLOW9_SCOPE_BASE + 1,
        NETFLOW9_SCOPE_BASE + 5,
        130,
        131,
        143,
        144,
        145,
        149,
    ];

    /// `None` if the template has none, or has it of a smaller part of what the exporter sends.
    pub(super) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        let scope_count = usize::from(layout.definition.scope_count);
        let mut scopes = layout.definition.fields.iter().take(scope_count);
        let is_understood = scopes.all(|scope| {
            let mut known = Self::SCOPES.into_iter();
            known.any(|id| scope.element == ElementId::iana(id))
        });
        Some(Self {
            direction: source(239).filter(|_| is_understood)?,
            template: source(145).or(source(NETFLOW9_SCOPE_BASE + 5)),
            domain: source(149),
        })
    }

    /// What a record tells of the Observation Domain that it came from; 0 is all of the exporter's.
    pub(super) fn read<'a>(
        &self,
        tile: &Tile<'_>,
        record: usize,
        domain: Option<u32>,
    ) -> Option<Fact<'a>> {
        let value = |source| be_uint(tile.field(record, source)).0;
        let told_of = self.domain.map_or(0, value);
        if told_of != 0 && Some(told_of) != domain.map(u64::from) {
            return None;
        }
        let template = match self.template {
            Some(source) => Some(u16::try_from(value(source)).ok()?),
            None => None,
        };
        let direction = u8::try_from(value(self.direction)).ok()?;
        Some(Fact::BiflowDirection(template, direction))
    }
}

/// Which fields of a template are Flow Keys (RFC 7011 section 4.4; FF-OT-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowKeyFields {
    /// 145 templateId, or v9's scope Template.
    pub(super) template: FieldSource,
    /// 173 flowKeyIndicator.
    pub(super) indicator: FieldSource,
}

impl FlowKeyFields {
    pub(super) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        Some(Self {
            template: source(145).or(source(NETFLOW9_SCOPE_BASE + 5))?,
            indicator: source(173)?,
        })
    }
}
