//! The way of a record that its message has proved well-formed: what it teaches, then its plan's stage.

use super::Decoder;
use crate::batch::Run;
use crate::error::DecodeError;
use crate::plan::Piece;
use crate::staging::{PlanId, PlanStore, RowSink, tile};
use crate::template::RecordKind;
use crate::template::options::Subject;

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
        run: Run,
    ) {
        self.learn(Subject::Sampling, plan_id, body, pieces, run);
        let Some(plan) = self.plans.get(plan_id) else {
            return;
        };
        if run.records == 0 {
            return;
        }
        let records = run.records as u64;
        self.stats.records_received += records;
        if let Some(domain) = self.domains.get_mut(run.context.domain_index) {
            domain.records += records;
        }
        if plan.kind == RecordKind::Options {
            self.stats.options_records_decoded += records;
        }
        if plan.table.is_some() {
            self.stats.records_decoded += records;
        } else {
            self.stats.records_absorbed += records;
        }
        let (plans, mut rows) = self.plans_and_rows();
        plans.append(plan_id, body, pieces, run, &mut rows);
    }

    /// Takes in what the records of a set teach, if they are options data that is understood. Rows already staged were sent
    /// under the old state: if it changes, they are transposed first.
    pub(crate) fn learn(
        &mut self,
        subject: Subject,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: Run,
    ) {
        let options = self
            .plans
            .get(plan_id)
            .and_then(|plan| Some((plan, plan.options?)));
        let Some((plan, fields)) = options else {
            return;
        };
        let records = tile(plan, body, pieces, run.records);
        let domain = self.domains.get(run.context.domain_index);
        if !domain.is_some_and(|domain| {
            domain
                .options
                .would_change(run.context.session, subject, &fields, &records)
        }) {
            return;
        }
        self.transpose_all();
        let (Some(plan), Some(domain)) = (
            self.plans.get(plan_id),
            self.domains.get_mut(run.context.domain_index),
        ) else {
            return;
        };
        let records = tile(plan, body, pieces, run.records);
        domain
            .options
            .learn(run.context.session, subject, &fields, &records);
    }

    /// The plans, and where the rows they give go: apart, so that both can be changed at once.
    pub(super) fn plans_and_rows(&mut self) -> (&mut PlanStore, RowSink<'_>) {
        let rows = RowSink {
            tables: &mut self.tables,
            domains: &self.domains,
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
