//! The way of a record that its message has proved well-formed: what it teaches, then its plan's stage.

use super::Decoder;
use crate::batch::{MessageContext, Run};
use crate::error::{DecodeError, Warning};
use crate::kernel::Tile;
use crate::plan::{DecodePlan, Piece};
use crate::staging::{PlanId, PlanStore, RowSink, tile};
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

    /// Appends the records of a set that `split` has checked; cannot fail.
    pub(crate) fn append_records(
        &mut self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        if !self.learns() && self.plans.get(plan_id).is_some_and(DecodePlan::is_plain) {
            return self.append_rows(plan_id, body, pieces, run);
        }
        if self.kind(plan_id) == Some(RecordKind::Options) {
            self.learn_from(Subject::Names, plan_id, body, pieces, run);
            self.learn_types(plan_id, body, pieces, run);
            self.learn_flow_keys(plan_id, body, pieces, run);
        }
        if self.learns() {
            return;
        }
        let plan_id = self.with_types(plan_id, &run.context);
        let plan_id = self.with_objects(plan_id, &run.context);
        match self.plans.get(plan_id) {
            Some(plan) if !plan.property_ids.is_empty() => {
                self.append_joined(plan_id, body, pieces, run)
            }
            _ => self.append_flows(plan_id, body, pieces, run),
        }
    }

    /// Appends records that have all the fields they refer to.
    pub(super) fn append_flows(
        &mut self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        self.by_exporter(plan_id, body, pieces, run, |decoder, body, pieces, run| {
            decoder.append_flows_of(plan_id, body, pieces, run);
        });
    }

    /// Appends records of one Exporter.
    fn append_flows_of(&mut self, plan_id: PlanId, body: &[u8], pieces: &[Piece], run: &Run) {
        match self.plans.get(plan_id).and_then(|plan| plan.section) {
            Some(section) => self.append_sections(plan_id, section, body, pieces, run),
            None => self.append_rows(plan_id, body, pieces, run),
        }
    }

    /// Counts records and stages them.
    pub(super) fn append_rows(
        &mut self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        let Some(plan) = self.plans.get(plan_id) else {
            return;
        };
        if run.records == 0 {
            return;
        }
        let records = run.records as u64;
        let kind_is_options = plan.kind == RecordKind::Options;
        let has_rows = plan.table.is_some();
        let tells_rate = plan.tells_rate;
        let account = self.account(run.context.domain_index);
        self.stats.records_received += records;
        self.ledger.at(account).records_received += records as i64;
        if let Some(domain) = self.domains.get_mut(run.context.domain_index) {
            domain.records += records;
            domain.hear(&run.context, tells_rate);
        }
        if kind_is_options {
            self.stats.options_records_decoded += records;
        }
        if has_rows {
            self.stats.records_decoded += records;
            self.ledger.decoded(account, records);
        } else {
            self.stats.records_absorbed += records;
            self.ledger.at(account).records_absorbed += records as i64;
        }
        let (plans, mut rows) = self.plans_and_rows();
        plans.append(plan_id, body, pieces, run, &mut rows);
    }

    /// Takes in what the records of a set teach, if they are options data that is understood. Rows already staged were sent
    /// under the old state: if it changes, they are transposed first.
    pub(crate) fn learn_from(
        &mut self,
        subject: Subject,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        let plan = self.plans.get(plan_id);
        if plan.is_none_or(|plan| plan.options.is_none()) {
            return;
        }
        self.by_exporter(plan_id, body, pieces, run, |decoder, body, pieces, run| {
            decoder.learn_of(subject, plan_id, body, pieces, run);
        });
    }

    /// Takes in what records teach of one Exporter.
    fn learn_of(
        &mut self,
        subject: Subject,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        let room = self.options_room(&run.context);
        let Some((domain, fields, records)) = self.lesson(plan_id, body, pieces, run) else {
            return;
        };
        let foreseen = (domain.options).foresee(&run.context, subject, fields, &records, room);
        if !foreseen.changes {
            self.stats.warnings[Warning::OptionsRefused as usize] += foreseen.refused;
            return;
        }
        self.transpose_all();
        let Some((domain, fields, records)) = self.lesson(plan_id, body, pieces, run) else {
            return;
        };
        let before = domain.options.octets();
        let outcome = (domain.options).learn(&run.context, subject, fields, &records, room);
        let after = domain.options.octets();
        self.options_octets = self.options_octets + after - before;
        self.stats.warnings[Warning::OptionsRefused as usize] += outcome.refused;
    }

    /// Takes in what the exporter says of itself in options data of the message that is being decoded.
    pub(crate) fn take_reports(
        &mut self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: &Run,
    ) {
        let sender = run.context.exporter;
        self.by_exporter(plan_id, body, pieces, run, |decoder, body, pieces, run| {
            // Of another Exporter's messages we do not know which arrived.
            if run.context.exporter == sender {
                decoder.take_own_reports(plan_id, body, pieces, run);
            }
        });
    }

    fn take_own_reports(&mut self, plan_id: PlanId, body: &[u8], pieces: &[Piece], run: &Run) {
        let Some(plan) = self.plans.get(plan_id) else {
            return;
        };
        if let Some(fields) = &plan.options {
            let records = tile(plan, body, pieces, run.records);
            let reports = fields.reports(&records, run.context.domain);
            self.reports
                .extend(reports.take(MAX_REPORTS.saturating_sub(self.reports.len())));
        }
    }

    /// Records of options data, what their template tells of, and whom they teach about; `None` if it tells nothing.
    fn lesson<'a>(
        &'a mut self,
        plan_id: PlanId,
        body: &'a [u8],
        pieces: &'a [Piece],
        run: &Run,
    ) -> Option<(&'a mut Domain, &'a OptionsFields, Tile<'a>)> {
        let plan = self.plans.get(plan_id)?;
        let fields = plan.options.as_ref()?;
        let domain = self.domains.get_mut(run.context.domain_index)?;
        Some((domain, fields, tile(plan, body, pieces, run.records)))
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
