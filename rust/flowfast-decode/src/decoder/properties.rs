//! Records that refer to common properties (RFC 5473; FF-EN-06): what they share with others becomes fields of a longer record, of a
//! template made for it.

use super::Decoder;
use super::longer::LongerRecords;
use crate::batch::Run;
use crate::bytes::be_uint;
use crate::error::Warning;
use crate::plan::Piece;
use crate::staging::{PlanId, tile};
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
    pub(super) fn append_joined(
        &mut self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        let mut reader = std::mem::take(&mut self.properties);
        for record in 0..run.records {
            reader.read(self, plan_id, body, pieces, run, record);
            if reader.longer.arena.len() >= JOINED_OCTETS {
                reader.longer.drain(self, run, Self::append_flows);
            }
        }
        reader.longer.drain(self, run, Self::append_flows);
        self.properties = reader;
    }

    /// The first properties that a set refers to and that are not known, looked for from one of its records on; `None`: it lacks none.
    pub(crate) fn lacks_properties(
        &self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
        from_record: usize,
    ) -> Option<Awaited> {
        let plan = self.plans.get(plan_id)?;
        if plan.property_ids.is_empty() {
            return None;
        }
        let tile = tile(plan, body, pieces, run.records);
        let domain = self.domains.get(run.context.domain_index)?;
        let options = domain.options_of(run.context.session);
        (from_record..run.records).find_map(|record| {
            let ids = plan.property_ids.iter();
            let mut ids = ids.map(|&source| be_uint(tile.field(record, source)).0);
            let id = ids.find(|&id| options.is_none_or(|known| known.properties(id).is_none()))?;
            Some(Awaited::Properties {
                id,
                plan: plan_id,
                record,
            })
        })
    }
}

impl PropertyReader {
    fn read(
        &mut self,
        decoder: &mut Decoder,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
        record: usize,
    ) {
        let Some(plan) = decoder.plans.get(plan_id) else {
            return;
        };
        let tile = tile(plan, body, pieces, run.records);
        let domain = decoder.domains.get(run.context.domain_index);
        let options = domain.and_then(|domain| domain.options_of(run.context.session));
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
            .end_record(decoder, plan_id, start, &self.fields);
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
