//! Templates and their plans.

use std::net::IpAddr;

use super::Decoder;
use crate::batch::unmapped;
use crate::error::Warning;
use crate::plan::Layout;
use crate::staging::PlanId;
use crate::template::cache::{Lookup, Session, Stored};
use crate::template::{Definition, FieldSpecifier, RecordKind};

/// A template, as one Transport Session defined it.
#[derive(Clone, Debug)]
pub struct TemplateSummary {
    /// Source address.
    pub exporter: IpAddr,
    /// Source UDP port.
    pub exporter_port: u16,
    /// UDP port it arrived on.
    pub local_port: u16,
    /// `netflow_v9`, `ipfix`.
    pub format: &'static str,
    /// Observation Domain, or v9 Source ID.
    pub domain: u32,
    /// Template id.
    pub template_id: u16,
    /// Fields that are scope, and come first; 0: the template describes Flow Records.
    pub scope_count: u16,
    /// Name and length in octets of each field; a length of 65535 is variable.
    pub fields: Vec<(String, u16)>,
    /// When it was received last, nanoseconds since the UNIX epoch.
    pub refreshed_ns: i64,
}

impl Decoder {
    /// Every template in the cache.
    pub fn templates(&self) -> Vec<TemplateSummary> {
        let mut summaries = Vec::with_capacity(self.templates);
        for (_, domain) in self.domains.iter() {
            for (template_id, known) in domain.templates.iter() {
                let Some(definition) = self.plans.definition(known.plan) else {
                    continue;
                };
                let field = |field: &FieldSpecifier| (field.element.column_name(), field.length);
                summaries.push(TemplateSummary {
                    exporter: unmapped(domain.key.exporter),
                    exporter_port: known.session.exporter_port,
                    local_port: known.session.local_port,
                    format: domain.key.format.name(),
                    domain: domain.key.domain,
                    template_id,
                    scope_count: definition.scope_count,
                    fields: definition.fields.iter().map(field).collect(),
                    refreshed_ns: known.refreshed_ns,
                });
            }
        }
        summaries
    }

    /// The plan of a fixed format's layout.
    pub(crate) fn fixed_plan(&self, layout_index: usize) -> PlanId {
        self.fixed_plans[layout_index]
    }

    /// The plan of a template, with one more reference to it; `None` if its records would have no length.
    pub(crate) fn intern(&mut self, definition: Definition) -> Option<PlanId> {
        let Self {
            plans,
            tables,
            stats,
            ..
        } = self;
        plans.intern(definition, |definition| {
            Some(tables.compile(&Layout::new(definition)?, stats))
        })
    }

    /// What the records of a plan are.
    pub(crate) fn kind(&self, plan: PlanId) -> Option<RecordKind> {
        self.plans.get(plan).map(|plan| plan.kind)
    }

    pub(crate) fn release(&mut self, plan: PlanId) {
        self.plans.release(plan);
    }

    pub(crate) fn lookup(
        &self,
        domain_index: usize,
        session: Session,
        template_id: u16,
        now_ns: i64,
    ) -> Lookup {
        match self.domains.get(domain_index) {
            Some(domain) => domain
                .templates
                .lookup(session, template_id, now_ns, &self.limits),
            None => Lookup::Missing,
        }
    }

    pub(crate) fn count_template(&mut self, kind: RecordKind) {
        if self.learning {
            return;
        }
        if kind == RecordKind::Options {
            self.stats.options_templates_received += 1;
        } else {
            self.stats.templates_received += 1;
        }
    }

    /// Puts a template into effect; `true` if it is not the one that was.
    pub(crate) fn store_template(
        &mut self,
        domain_index: usize,
        session: Session,
        template_id: u16,
        plan: PlanId,
        now_ns: i64,
    ) -> bool {
        let mut evicted = Vec::new();
        let fields = self.plans.fields_of(plan);
        let Some(domain) = self.domains.get_mut(domain_index) else {
            self.plans.release(plan);
            return false;
        };
        let stored = domain.templates.store(
            session,
            template_id,
            (plan, fields),
            now_ns,
            &self.limits,
            &mut evicted,
        );
        match stored {
            Stored::New => self.templates += 1,
            Stored::Refreshed => self.plans.release(plan),
            Stored::Redefined(before) => {
                domain.templates_redefined += 1;
                self.stats.warn(Warning::TemplateRedefined);
                self.plans.release(before);
            }
        }
        self.templates -= evicted.len();
        self.stats.warnings[Warning::TemplateEvicted as usize] += evicted.len() as u64;
        evicted
            .into_iter()
            .for_each(|plan| self.plans.release(plan));
        let is_new = stored != Stored::Refreshed;
        if is_new && let Some(definition) = self.plans.definition(plan) {
            domain.note_unknown(session, definition);
        }
        self.stats.templates_new += u64::from(is_new && !self.learning);
        is_new
    }
}
