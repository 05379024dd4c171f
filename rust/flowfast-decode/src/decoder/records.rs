//! The way of a record that its message has proved well-formed: what it teaches, then its plan's stage.

use super::Decoder;
use crate::batch::MessageContext;
use crate::error::{DecodeError, Warning};
use crate::kernel::Tile;
use crate::ledger::NOBODY;
use crate::plan::{DecodePlan, Piece};
use crate::staging::{Due, PlanId, PlanStore, Records, RowSink};
use crate::template::RecordKind;
use crate::template::domain::Domain;
use crate::template::options::{OptionsFields, Subject};

/// Reports of one message that are compared: an exporter has few processes.
const MAX_REPORTS: usize = 64;

impl Decoder {
    /// Counts the records of a set and finds their fields, by a plan.
    pub(crate) fn split(
        &self,
        plan: PlanId,
        body: &[u8],
        pieces: &mut Vec<Piece>,
    ) -> Result<(usize, usize), DecodeError> {
        match self.plans.get(plan) {
            Some(plan) => plan.shape.split(body, pieces),
            None => Ok((0, 0)),
        }
    }

    /// Appends records; cannot fail.
    #[inline]
    pub(crate) fn append_records(&mut self, records: &Records<'_>) {
        let plan = self.plans.get(records.plan);
        if !self.learns() && plan.is_some_and(DecodePlan::is_plain) {
            self.append_rows(records);
        } else {
            self.append_telling(records);
        }
    }

    /// Appends records that may teach something, or become others by what is known.
    fn append_telling(&mut self, records: &Records<'_>) {
        let plan = self.plans.get(records.plan);
        if plan.is_some_and(|plan| plan.kind == RecordKind::Options) {
            self.learn_from(Subject::Names, records);
            self.learn_types(records);
            self.learn_flow_keys(records);
        }
        if self.learns() {
            return;
        }
        let plan = self.with_types(records.plan, &records.run.context);
        let plan = self.with_objects(plan, &records.run.context);
        let records = Records { plan, ..*records };
        match self.plans.get(plan) {
            Some(plan) if !plan.property_ids.is_empty() => self.append_joined(&records),
            _ => self.append_flows(&records),
        }
    }

    /// Appends records that have all the fields they refer to.
    pub(super) fn append_flows(&mut self, records: &Records<'_>) {
        self.by_exporter(records, Self::append_flows_of);
    }

    /// Appends records of one Exporter.
    fn append_flows_of(&mut self, records: &Records<'_>) {
        match self.plans.get(records.plan).and_then(|plan| plan.section) {
            Some(section) => self.append_sections(section, records),
            None => self.append_rows(records),
        }
    }

    /// Counts records and stages them.
    pub(crate) fn append_rows(&mut self, records: &Records<'_>) {
        let (context, count) = (&records.run.context, records.run.records as u64);
        let Some(plan) = self.plans.get(records.plan).filter(|_| count > 0) else {
            return;
        };
        let account = match self.domains.get_mut(context.domain_index) {
            Some(domain) => {
                domain.records += count;
                domain.hear(context, plan.tells_rate);
                self.ledger.of(domain)
            }
            None => NOBODY,
        };
        self.stats.records_received += count;
        self.ledger.at(account).records_received += count as i64;
        if plan.kind == RecordKind::Options {
            self.stats.options_records_decoded += count;
        }
        if plan.table.is_some() {
            self.stats.records_decoded += count;
            self.ledger.decoded(account, count);
        } else {
            self.stats.records_absorbed += count;
            self.ledger.at(account).records_absorbed += count as i64;
        }
        let due = self.plans.stage(records);
        if due != Due::Nothing {
            let (plans, mut rows) = self.plans_and_rows();
            plans.run(due, records, &mut rows);
        }
    }

    /// Takes in what records teach, if they are options data that is understood. Rows already staged were sent under the old state: if it
    /// changes, they are transposed first.
    pub(crate) fn learn_from(&mut self, subject: Subject, records: &Records<'_>) {
        let plan = self.plans.get(records.plan);
        if plan.is_some_and(|plan| plan.options.is_some()) {
            self.by_exporter(records, |decoder, records| {
                decoder.learn_of(subject, records)
            });
        }
    }

    /// Takes in what records teach of one Exporter.
    fn learn_of(&mut self, subject: Subject, records: &Records<'_>) {
        let context = &records.run.context;
        let room = self.options_room(context);
        let Some((domain, fields, tile)) = self.lesson(records) else {
            return;
        };
        let foreseen = (domain.options).foresee(context, subject, fields, &tile, room);
        if !foreseen.changes {
            self.stats.warnings[Warning::OptionsRefused as usize] += foreseen.refused;
            return;
        }
        self.transpose_all();
        let Some((domain, fields, tile)) = self.lesson(records) else {
            return;
        };
        let before = domain.options.octets();
        let outcome = (domain.options).learn(context, subject, fields, &tile, room);
        let after = domain.options.octets();
        self.options_octets = self.options_octets + after - before;
        self.stats.warnings[Warning::OptionsRefused as usize] += outcome.refused;
    }

    /// Takes in what the exporter says of itself in options data of the message that is being decoded.
    pub(crate) fn take_reports(&mut self, records: &Records<'_>) {
        let sender = records.run.context.exporter;
        self.by_exporter(records, |decoder, records| {
            // Of another Exporter's messages we do not know which arrived.
            if records.run.context.exporter == sender {
                decoder.take_own_reports(records);
            }
        });
    }

    fn take_own_reports(&mut self, records: &Records<'_>) {
        let Some(plan) = self.plans.get(records.plan) else {
            return;
        };
        if let Some(fields) = &plan.options {
            let tile = records.tile(plan);
            let reports = fields.reports(&tile, records.run.context.domain);
            self.reports
                .extend(reports.take(MAX_REPORTS.saturating_sub(self.reports.len())));
        }
    }

    /// Records of options data, what their template tells of, and whom they teach about; `None` if it tells nothing.
    fn lesson<'a>(
        &'a mut self,
        records: &Records<'a>,
    ) -> Option<(&'a mut Domain, &'a OptionsFields, Tile<'a>)> {
        let plan = self.plans.get(records.plan)?;
        let fields = plan.options.as_ref()?;
        let domain = self.domains.get_mut(records.run.context.domain_index)?;
        Some((domain, fields, records.tile(plan)))
    }

    /// Octets that what a session's options data teaches may take.
    fn options_room(&self, context: &MessageContext) -> usize {
        let free = self
            .limits
            .options_octets
            .saturating_sub(self.options_octets);
        let own = self
            .domains
            .get(context.domain_index)
            .map_or(0, |domain| domain.options.octets_of(context.session));
        (own + free).min(self.limits.options_octets_per_session)
    }

    /// The plans, and where the rows they give go: apart, so that both can be changed at once.
    pub(super) fn plans_and_rows(&mut self) -> (&mut PlanStore, RowSink<'_>) {
        let rows = RowSink {
            kernel: self.kernel,
            tables: &mut self.tables,
            domains: &self.domains,
            limits: &self.limits,
            neighbours: &mut self.neighbours,
            biflows: &mut self.biflows,
            ledger: &mut self.ledger,
            stats: &mut self.stats,
        };
        (&mut self.plans, rows)
    }

    pub(super) fn transpose_all(&mut self) {
        let (plans, mut rows) = self.plans_and_rows();
        plans.transpose_all(&mut rows);
    }

    pub(super) fn drop_unused_plans(&mut self) {
        self.transpose_all();
        let users = self.plans.drop_unused();
        self.tables.release(&users);
    }
}
