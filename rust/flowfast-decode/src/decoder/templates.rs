//! Templates and their plans.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Decoder, Intake};
use crate::batch::{MessageContext, unmapped};
use crate::error::{DecodeError, Warning};
use crate::plan::{DecodePlan, Layout};
use crate::staging::{PlanId, Records};
use crate::template::cache::{Lookup, Session, Stored};
use crate::template::{Definition, FieldSpecifier, RecordKind};
use crate::wire::template::TemplateRecord;

/// A template, as one Transport Session defined it.
#[derive(Clone, Debug)]
pub struct TemplateSummary {
    /// Source address.
    pub exporter: IpAddr,
    /// Source UDP port.
    pub exporter_port: u16,
    /// Address that it was sent to last, if that is known.
    pub local_address: Option<IpAddr>,
    /// UDP port it arrived on.
    pub local_port: u16,
    /// `netflow_v9`, `ipfix`.
    pub format: &'static str,
    /// Observation Domain, or v9 Source ID.
    pub domain: u32,
    /// Template id.
    pub template_id: u16,
    definition: Arc<Definition>,
    /// Positions in `fields` of the Flow Keys, as the exporter's options data says (RFC 7011 section 4.4); none if it has not.
    pub flow_keys: Vec<usize>,
    /// When it was received last, nanoseconds since the UNIX epoch.
    pub refreshed_ns: i64,
    /// Data sets that were read with it, those of messages that proved malformed later among them.
    pub sets: u64,
    /// When the last of them was received, nanoseconds since the UNIX epoch; `None`: there was none.
    pub used_ns: Option<i64>,
}

/// A field of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateField {
    /// As its column is named: `sourceIPv4Address`, or `e<pen>_i<id>` for an unknown element.
    pub name: String,
    /// Private Enterprise Number, or 0 for IANA's.
    pub pen: u32,
    /// Id of its element.
    pub id: u32,
    /// Octets in each record; 65535: variable (RFC 7011 section 7).
    pub length: u16,
}

impl TemplateSummary {
    /// Fields that are scope, and come first; 0: the template describes Flow Records.
    pub fn scope_count(&self) -> u16 {
        self.definition.scope_count
    }

    /// Whether it describes options data (RFC 7011 section 3.4.2).
    pub fn is_options(&self) -> bool {
        self.definition.kind == RecordKind::Options
    }

    /// Its fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = TemplateField> {
        self.definition.fields.iter().map(TemplateField::from)
    }
}

impl From<&FieldSpecifier> for TemplateField {
    fn from(field: &FieldSpecifier) -> Self {
        Self {
            name: field.element.column_name(),
            pen: field.element.pen,
            id: field.element.id,
            length: field.length,
        }
    }
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
                summaries.push(TemplateSummary {
                    exporter: unmapped(domain.key.exporter),
                    exporter_port: known.session.exporter_port,
                    local_address: domain.templates.local_address(known.session),
                    local_port: known.session.local_port,
                    format: domain.key.format.name(),
                    domain: domain.key.domain,
                    template_id,
                    definition: Arc::clone(definition),
                    flow_keys: (0..64)
                        .filter(|field| known.flow_keys >> field & 1 == 1)
                        .collect(),
                    refreshed_ns: known.refreshed_ns,
                    sets: known.sets,
                    used_ns: (known.sets > 0).then_some(known.used_ns),
                });
            }
        }
        summaries
    }

    /// Takes in which fields of templates are Flow Keys, if that is what the records of a set tell. What no template of theirs has
    /// is counted and ignored (FF-OT-03).
    pub(super) fn learn_flow_keys(&mut self, records: &Records<'_>) {
        let context = &records.run.context;
        let learns = self.learns();
        let Some(plan) = self.plans.get(records.plan) else {
            return;
        };
        let (Some(fields), Some(domain)) =
            (&plan.options, self.domains.get_mut(context.domain_index))
        else {
            return;
        };
        for (template_id, indicator) in fields.flow_keys(&records.tile(plan)) {
            let template = u16::try_from(template_id)
                .ok()
                .and_then(|id| domain.templates.own_mut(context.session, id));
            let described = template.filter(|template| {
                let definition = self.plans.definition(template.plan);
                let bits = (u64::BITS - indicator.leading_zeros()) as usize;
                definition.is_some_and(|definition| bits <= definition.fields.len())
            });
            match described {
                Some(template) => template.flow_keys = indicator,
                None if learns => {}
                None => self.stats.warn(Warning::FlowKeysIgnored),
            }
        }
    }

    /// The plan of a fixed format's layout.
    pub(crate) fn fixed_plan(&self, layout_index: usize) -> PlanId {
        self.fixed_plans[layout_index]
    }

    /// The plan of a template record, with one more reference to it; `None` if its records would have no length.
    ///
    /// # Errors
    /// A field may not have its length.
    pub(crate) fn plan_of(
        &mut self,
        context: &MessageContext,
        record: &TemplateRecord<'_>,
    ) -> Result<Option<PlanId>, DecodeError> {
        let domain = self.domains.get(context.domain_index);
        let known = domain.and_then(|domain| {
            let templates = &domain.templates;
            templates.own_plan(context.session, record.template_id)
        });
        if let Some(plan) = known.filter(|&plan| self.plans.is_of(plan, record)) {
            self.plans.retain(plan);
            return Ok(Some(plan));
        }
        let definition = record.definition();
        self.check_template(context.format, &definition)?;
        let plan = self.intern(definition);
        if let Some(plan) = plan {
            self.plans.note_spelling(plan, record);
        }
        Ok(plan)
    }

    /// The plan of a definition, with one more reference to it; `None` if its records would have no length.
    pub(crate) fn intern(&mut self, definition: Definition) -> Option<PlanId> {
        let Self {
            plans,
            tables,
            stats,
            ..
        } = self;
        plans.intern(definition, |definition| {
            let plan = tables.compile(&Layout::new(definition)?, stats);
            stats.plans_compiled += 1;
            Some(plan)
        })
    }

    /// What becomes of the records of a template; `None` if nobody refers to it.
    pub(crate) fn plan(&self, plan: PlanId) -> Option<&DecodePlan> {
        self.plans.get(plan)
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

    /// The same, for a data set that is now read with it.
    #[inline]
    pub(crate) fn take_template(
        &mut self,
        domain_index: usize,
        session: Session,
        template_id: u16,
        now_ns: i64,
    ) -> Lookup {
        if self.intake == Intake::Lesson {
            return self.lookup(domain_index, session, template_id, now_ns);
        }
        let limits = &self.limits;
        match self.domains.get_mut(domain_index) {
            Some(domain) => (domain.templates).take(session, template_id, now_ns, limits),
            None => Lookup::Missing,
        }
    }

    pub(crate) fn count_template(&mut self, kind: RecordKind) {
        if self.learns() {
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
        let counts = !self.learns();
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
        (domain.templates).note_address(session, self.local_address);
        match stored {
            Stored::New => self.templates += 1,
            Stored::Refreshed => self.plans.release(plan),
            Stored::Redefined(before) => {
                self.options_octets -= domain.options.forget_objects(session, template_id);
                domain.templates_redefined += u64::from(counts);
                self.stats.warnings[Warning::TemplateRedefined as usize] += u64::from(counts);
                self.plans.release(before);
            }
        }
        let is_new = stored != Stored::Refreshed;
        if is_new && let Some(definition) = self.plans.definition(plan) {
            domain.note_unknown(session, definition);
        }
        self.stats.templates_new += u64::from(is_new && counts);
        self.count_evicted(evicted);
        is_new
    }

    /// Whether all domains together hold more than they may (FF-TL-14).
    pub(super) fn has_too_many_templates(&self) -> bool {
        self.templates > self.limits.templates || self.plans.fields() > self.limits.template_fields
    }

    /// Forgets those templates that are neglected most: a flood pays with its own, in however many domains they are.
    pub(super) fn evict_templates(&mut self) {
        let evicted = self.domains.evict_templates(self.now_ns);
        self.count_evicted(evicted);
        self.drop_unused_plans();
    }

    fn count_evicted(&mut self, evicted: Vec<PlanId>) {
        self.templates -= evicted.len();
        self.stats.warnings[Warning::TemplateEvicted as usize] += evicted.len() as u64;
        evicted
            .into_iter()
            .for_each(|plan| self.plans.release(plan));
    }
}
