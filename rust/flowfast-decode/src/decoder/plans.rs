//! Plans, told: what becomes of each field of the templates that are known.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Decoder, TemplateField};
use crate::batch::unmapped;
use crate::format::fixed_layout_index;
use crate::plan::{Layout, PlannedColumn, PlannedField, canonical_runs, describe};
use crate::staging::PlanId;
use crate::template::RecordKind;
use crate::template::domain::DomainKey;

/// How the records of a template become columns.
#[derive(Clone, Debug)]
pub struct PlanSummary {
    /// Whose records those are.
    pub users: Vec<PlanUser>,
    /// They are options data (RFC 7011 section 3.4.2).
    pub is_options: bool,
    /// Fields that are scope, and come first.
    pub scope_count: u16,
    /// Octets of a record, or of the shortest where some of its fields have a variable length.
    pub record_octets: usize,
    /// The table that they go to; `None`: they become no rows.
    pub table: Option<String>,
    /// The fields in the order of the template.
    pub fields: Vec<(TemplateField, PlannedField)>,
    /// Where short fields stand side by side: eight octets from each of these offsets on are read of 16 records at once.
    pub neighbourhoods: Vec<usize>,
    /// Stretches of fields that follow each other in the canonical order, too: widest first, then by element.
    pub canonical_runs: usize,
    /// Columns that none of them fills.
    pub unfilled: Vec<PlannedColumn>,
}

/// Who exports records of a template, or of a fixed layout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanUser {
    /// Address of the Exporter.
    pub exporter: IpAddr,
    /// `netflow_v5`, `ipfix`, ...
    pub format: &'static str,
    /// Observation Domain; of NetFlow v5-v8 the engine.
    pub domain: u32,
    /// `None`: the layout of NetFlow v1-v8 that is always the same.
    pub template_id: Option<u16>,
}

impl Decoder {
    /// The plan of every template that is known, and of every fixed layout that came: those of equal definition share one. sFlow has no
    /// templates.
    pub fn plans(&self) -> Vec<PlanSummary> {
        let mut users: BTreeMap<usize, Vec<PlanUser>> = BTreeMap::new();
        for (_, domain) in self.domains.iter() {
            let key = &domain.key;
            let fixed = fixed_layout_index(key).map(|index| (None, self.fixed_plan(index)));
            let templates = domain.templates.iter();
            let templates = templates.map(|(id, known)| (Some(id), known.plan));
            for (template_id, plan) in templates.chain(fixed) {
                let users = users.entry(plan.0).or_default();
                users.push(PlanUser::new(key, template_id));
            }
        }
        let summaries = users.into_iter().filter_map(|(plan, mut users)| {
            users.sort_unstable();
            self.summarize(PlanId(plan), users)
        });
        summaries.collect()
    }

    fn summarize(&self, id: PlanId, users: Vec<PlanUser>) -> Option<PlanSummary> {
        let (plan, definition) = (self.plans.get(id)?, self.plans.definition(id)?);
        let layout = Layout::new(definition)?;
        let columns = plan
            .table
            .map_or_else(Vec::new, |table| self.tables.target_columns(table));
        let (fields, unfilled) = describe(plan, &layout, &columns);
        Some(PlanSummary {
            users,
            is_options: plan.kind == RecordKind::Options,
            scope_count: definition.scope_count,
            record_octets: definition.min_record_len(),
            table: plan.table.and_then(|table| self.tables.name(table)),
            fields: definition
                .fields
                .iter()
                .map(TemplateField::from)
                .zip(fields)
                .collect(),
            neighbourhoods: plan.neighbourhoods.to_vec(),
            canonical_runs: canonical_runs(&definition.fields),
            unfilled,
        })
    }
}

impl PlanUser {
    fn new(key: &DomainKey, template_id: Option<u16>) -> Self {
        Self {
            exporter: unmapped(key.exporter),
            format: key.format.name(),
            // That of v8 has the aggregation method before the engine.
            domain: match template_id {
                Some(_) => key.domain,
                None => key.domain & 0xffff,
            },
            template_id,
        }
    }
}
