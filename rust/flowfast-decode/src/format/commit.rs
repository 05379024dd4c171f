//! Puts a message that has proved well-formed into effect, in the order of appearance (FF-IX-07, FF-V9-05).

use std::ops::Range;

use super::templated::{Counts, DataSet, Scratch, Step};
use crate::batch::Run;
use crate::decoder::Decoder;
use crate::error::SetLoss;
use crate::staging::{PlanId, Records};
use crate::template::RecordKind;
use crate::template::cache::Lookup;
use crate::template::domain::{Awaited, WaitingSet};
use crate::template::memory::{Taught, message_of_set};
use crate::template::options::Subject;
use crate::wire::set;

/// A message that takes effect.
struct Commit<'m> {
    decoder: &'m mut Decoder,
    payload: &'m [u8],
    scratch: &'m Scratch,
    /// The records of the set at hand.
    run: &'m mut Run,
    new_templates: Vec<u16>,
}

/// Puts a message into effect that was split into this.
pub(super) fn commit(
    decoder: &mut Decoder,
    payload: &[u8],
    run: &mut Run,
    scratch: &Scratch,
    counts: Counts,
) {
    let mut commit = Commit {
        decoder,
        payload,
        scratch,
        run,
        new_templates: Vec::new(),
    };
    if counts.data_records > counts.flow_records {
        commit.learn_clock();
    }
    for step in &scratch.steps {
        match step {
            Step::Template {
                template_id,
                plan,
                kind,
                set,
            } => commit.template(*template_id, *plan, *kind, set),
            Step::Data(set) => commit.data(set),
            Step::Undecodable {
                template_id,
                set,
                why,
            } => commit.undecodable(*template_id, set, *why),
            Step::Warning(warning) => commit.decoder.warn(*warning),
        }
    }
    // Once a message, however many templates it defines.
    let context = &commit.run.context;
    (commit.decoder).decode_waiting(
        context.domain_index,
        commit.new_templates,
        context.received_ns,
    );
}

impl Commit<'_> {
    /// The exporter's clock first: Flow Records may stand before the options data that tells it.
    fn learn_clock(&mut self) {
        for step in &self.scratch.steps {
            if let Step::Data(set) = step
                && set.kind == RecordKind::Options
            {
                let records = records(self.payload, self.scratch, set, self.run);
                self.decoder.learn_from(Subject::Clock, &records);
            }
        }
    }

    fn template(
        &mut self,
        template_id: u16,
        plan: Option<PlanId>,
        kind: RecordKind,
        set: &Range<usize>,
    ) {
        self.decoder.count_template(kind);
        let Some(plan) = plan else { return };
        let context = &self.run.context;
        let is_new = self.decoder.store_template(
            context.domain_index,
            context.session,
            template_id,
            plan,
            context.received_ns,
        );
        if is_new {
            self.new_templates.push(template_id);
        }
        let taught = Taught::Template(template_id);
        (self.decoder).remember(context, self.payload, set.clone(), taught);
    }

    fn data(&mut self, set: &DataSet) {
        let decoder = &mut *self.decoder;
        let records = records(self.payload, self.scratch, set, self.run);
        let context = &records.run.context;
        if set.kind == RecordKind::Options {
            let taught = Taught::Options(set.template_id);
            decoder.remember(context, self.payload, set.set.clone(), taught);
            decoder.take_reports(&records);
        }
        // One of this message is stored by now, and was not when the set was read.
        if self.scratch.templates.contains_key(&set.template_id) {
            decoder.take_template(
                context.domain_index,
                context.session,
                set.template_id,
                context.received_ns,
            );
        }
        if set.is_plain && !decoder.learns() {
            return decoder.append_rows(&records);
        }
        match decoder.lacks_properties(&records, 0) {
            None => decoder.append_records(&records),
            Some(awaits) => {
                decoder.count_undecodable(context.domain_index);
                self.wait(&set.set, awaits);
            }
        }
    }

    fn undecodable(&mut self, template_id: u16, set: &Range<usize>, why: Lookup) {
        if self.decoder.learns() {
            return; // it was counted when it came
        }
        let domain_index = self.run.context.domain_index;
        self.decoder.count_undecodable(domain_index);
        match why {
            Lookup::Expired => {
                let octets = set.len() - set::HEADER_LEN;
                (self.decoder).discard_set(domain_index, SetLoss::ExpiredTemplate, octets);
            }
            Lookup::Missing | Lookup::Ambiguous | Lookup::Found(_) => {
                if why == Lookup::Ambiguous {
                    self.decoder.count_ambiguous(domain_index);
                }
                self.run.context.template_id = Some(template_id);
                self.wait(set, Awaited::Template);
            }
        }
    }

    /// Lets the set at hand wait for what it lacks.
    fn wait(&mut self, set: &Range<usize>, awaits: Awaited) {
        let context = self.run.context;
        let (message, set_start) = message_of_set(context.format, self.payload, set.clone());
        self.decoder.wait(WaitingSet {
            template_id: context.template_id.unwrap_or_default(),
            awaits,
            session: context.session,
            context,
            message,
            body_start: set_start + set::HEADER_LEN,
        });
    }
}

/// The records of a set. `run` becomes theirs: it is of their message.
fn records<'a>(
    payload: &'a [u8],
    scratch: &'a Scratch,
    set: &DataSet,
    run: &'a mut Run,
) -> Records<'a> {
    run.records = set.records;
    run.context.template_id = Some(set.template_id);
    let start = set.set.start + set::HEADER_LEN;
    Records {
        plan: set.plan,
        body: &payload[start..start + set.octets],
        pieces: &scratch.pieces[set.pieces.clone()],
        run,
    }
}
