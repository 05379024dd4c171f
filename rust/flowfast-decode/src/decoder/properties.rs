//! Records that refer to common properties (RFC 5473; FF-EN-06): what they share with others becomes fields of a longer record, of a
//! template made for it.

use super::Decoder;
use super::longer::LongerRecords;
use crate::bytes::be_uint;
use crate::error::Warning;
use crate::plan::DecodePlan;
use crate::staging::{PlanId, Records};
use crate::template::domain::Awaited;
use crate::template::{Definition, FieldSpecifier};

/// Joined records are appended when they have so many octets, however many records a set has.
const JOINED_OCTETS: usize = 64 << 10;

/// What is kept from one set to the next.
#[derive(Debug)]
pub(super) struct PropertyReader {
    /// What is added to the current record.
    fields: Vec<FieldSpecifier>,
    longer: LongerRecords<FieldSpecifier>,
}

impl Default for PropertyReader {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            longer: LongerRecords::new(with_properties),
        }
    }
}

impl Decoder {
    /// Appends the records of a set together with their common properties, as far as these are known.
    pub(super) fn append_joined(&mut self, records: &Records<'_>) {
        let mut reader = std::mem::take(&mut self.properties);
        for record in 0..records.run.records {
            reader.read(self, records, record);
            if reader.longer.arena.len() >= JOINED_OCTETS {
                reader.longer.drain(self, records.run, Self::append_flows);
            }
        }
        reader.longer.drain(self, records.run, Self::append_flows);
        self.properties = reader;
    }

    /// The first properties that records refer to and that are not known, looked for from one of them on; `None`: they lack none.
    #[inline]
    pub(crate) fn lacks_properties(
        &self,
        records: &Records<'_>,
        from_record: usize,
    ) -> Option<Awaited> {
        let plan = self.plans.get(records.plan)?;
        match *plan.property_ids {
            [] => None,
            _ => self.first_lacking(plan, records, from_record),
        }
    }

    fn first_lacking(
        &self,
        plan: &DecodePlan,
        records: &Records<'_>,
        from_record: usize,
    ) -> Option<Awaited> {
        let (tile, run) = (records.tile(plan), records.run);
        let domain = self.domains.get(run.context.domain_index)?;
        let options = domain.options_of(run.context.session);
        (from_record..run.records).find_map(|record| {
            let ids = plan.property_ids.iter();
            let mut ids = ids.map(|&source| be_uint(tile.field(record, source)).0);
            let id = ids.find(|&id| options.is_none_or(|known| known.properties(id).is_none()))?;
            Some(Awaited::Properties {
                id,
                plan: records.plan,
                record,
            })
        })
    }
}

impl PropertyReader {
    fn read(&mut self, decoder: &mut Decoder, records: &Records<'_>, record: usize) {
        let Some(plan) = decoder.plans.get(records.plan) else {
            return;
        };
        let (tile, context) = (records.tile(plan), &records.run.context);
        let domain = decoder.domains.get(context.domain_index);
        let options = domain.and_then(|domain| domain.options_of(context.session));
        let arena = &mut self.longer.arena;
        let start = arena.len();
        arena.extend_from_slice(tile.record(record));
        self.fields.clear();
        let mut is_whole = true;
        for &source in &plan.property_ids {
            let id = be_uint(tile.field(record, source)).0;
            match options.and_then(|options| options.properties(id)) {
                Some(properties) => {
                    arena.extend_from_slice(&properties.octets);
                    self.fields.extend_from_slice(&properties.fields);
                }
                None => is_whole = false,
            }
        }
        if !is_whole {
            decoder.stats.warn(Warning::PropertiesUnknown);
        }
        self.longer
            .end_record(decoder, records.plan, start, &self.fields);
    }

    /// Gives all plans back.
    pub(super) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.longer.forget_plans()
    }
}

/// A template and the fields of properties after its own: as if its records had them all. Of an element that is there twice, the
/// first is the record's own.
fn with_properties(definition: &Definition, properties: &[FieldSpecifier]) -> Definition {
    Definition {
        fields: [&definition.fields, properties].concat().into(),
        ..definition.clone()
    }
}
