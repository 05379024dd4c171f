//! Messages that bring their own templates (v9, IPFIX): split whole, then committed, so that a malformed one leaves nothing
//! behind (FF-IX-03), with templates taking effect in the order of appearance (FF-IX-07, FF-V9-05).

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::commit::commit;
use crate::batch::Run;
use crate::decoder::{Datagram, Decoder};
use crate::error::{DecodeError, Warning};
use crate::plan::Piece;
use crate::sequence::Volume;
use crate::staging::{PlanId, Records};
use crate::template::RecordKind;
use crate::template::cache::Lookup;
use crate::wire::set::{Set, Sets};
use crate::wire::template::TemplateRecord;

/// What a message is split into; kept from one to the next, so that none allocates.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) steps: Vec<Step>,
    pub(super) pieces: Vec<Piece>,
    /// Templates of the message, the last definition of each id; `None` for one that was refused.
    pub(super) templates: HashMap<u16, Option<PlanId>, RandomState>,
}

impl Scratch {
    /// Gives back what the message would have referred to.
    fn abandon(&self, decoder: &mut Decoder) {
        for step in &self.steps {
            if let Step::Template {
                plan: Some(plan), ..
            } = step
            {
                decoder.release(*plan);
            }
        }
    }

    fn clear(&mut self) {
        self.steps.clear();
        self.pieces.clear();
        self.templates.clear();
    }
}

/// One part of a message, checked but not yet in effect.
#[derive(Debug)]
pub(super) enum Step {
    Template {
        template_id: u16,
        plan: Option<PlanId>,
        kind: RecordKind,
        set: Range<usize>,
    },
    Data(DataSet),
    Undecodable {
        template_id: u16,
        set: Range<usize>,
        why: Lookup,
    },
    Warning(Warning),
}

/// A data set whose template is known.
#[derive(Debug)]
pub(super) struct DataSet {
    pub(super) template_id: u16,
    pub(super) plan: PlanId,
    pub(super) kind: RecordKind,
    /// They teach nothing, and nothing that was taught changes them.
    pub(super) is_plain: bool,
    pub(super) records: usize,
    /// Octets of the records; what is left of the set's body is padding.
    pub(super) octets: usize,
    pub(super) pieces: Range<usize>,
    pub(super) set: Range<usize>,
}

/// What a message held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) template_records: usize,
    /// Flow Records and options data records.
    pub(super) data_records: usize,
    /// Of those, Flow Records.
    pub(super) flow_records: usize,
    /// Data sets whose records could not be counted.
    pub(super) undecoded_sets: usize,
}

impl Counts {
    /// A message of so many octets that held this.
    pub(super) fn volume(self, octets: usize) -> Volume {
        Volume {
            messages: 1,
            records: self.flow_records as u64,
            octets: octets as u64,
        }
    }
}

/// A message that is being split.
pub(super) struct Message<'m> {
    decoder: &'m mut Decoder,
    run: &'m Run,
    scratch: &'m mut Scratch,
    counts: Counts,
}

/// Decodes a message, all of it or nothing. `run` will be one after the other of its sets, which `read_set` takes in.
pub(super) fn decode(
    decoder: &mut Decoder,
    datagram: &Datagram<'_>,
    run: &mut Run,
    sets: Sets<'_>,
    read_set: impl Fn(&mut Message<'_>, &Set<'_>) -> Result<(), DecodeError>,
) -> Result<Counts, DecodeError> {
    let mut scratch = decoder.scratch.take().unwrap_or_default();
    let mut message = Message {
        decoder,
        run,
        scratch: &mut scratch,
        counts: Counts::default(),
    };
    let outcome = message.split(sets, read_set);
    let counts = message.counts;
    match outcome {
        Ok(()) => commit(decoder, datagram.payload, run, &scratch, counts),
        Err(_) => scratch.abandon(decoder),
    }
    scratch.clear();
    decoder.scratch = Some(scratch);
    outcome.map(|()| counts)
}

impl Message<'_> {
    /// Reads all sets. A fault discards the message, or in lenient mode the rest of it (FF-IX-03).
    fn split(
        &mut self,
        sets: Sets<'_>,
        read_set: impl Fn(&mut Message<'_>, &Set<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for set in sets {
            match set.and_then(|set| read_set(self, &set)) {
                Err(_) if self.is_lenient() => {
                    self.warn(Warning::MalformedTail);
                    break;
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    pub(super) fn is_lenient(&self) -> bool {
        self.decoder.is_lenient()
    }

    /// A warning, to be counted if the message is committed.
    pub(super) fn warn(&mut self, warning: Warning) {
        self.scratch.steps.push(Step::Warning(warning));
    }

    /// A template record.
    pub(super) fn template(
        &mut self,
        set: &Set<'_>,
        record: &TemplateRecord<'_>,
    ) -> Result<(), DecodeError> {
        let (template_id, kind) = (record.template_id, record.kind);
        let plan = self.decoder.plan_of(&self.run.context, record)?;
        if plan.is_none() {
            self.warn(Warning::TemplateRefused);
        }
        self.counts.template_records += 1;
        self.scratch.templates.insert(template_id, plan);
        self.scratch.steps.push(Step::Template {
            template_id,
            plan,
            kind,
            set: set.octets(),
        });
        Ok(())
    }

    /// A data set: its records are counted and checked.
    pub(super) fn data(&mut self, set: &Set<'_>) -> Result<(), DecodeError> {
        let found = self.take_template(set.id);
        if !self.decoder.reads(found) {
            return Ok(());
        }
        if let Lookup::Found(plan) = found {
            return self.split_set(set, plan);
        }
        self.counts.undecoded_sets += 1;
        self.scratch.steps.push(Step::Undecodable {
            template_id: set.id,
            set: set.octets(),
            why: found,
        });
        Ok(())
    }

    /// Counts and checks the records of a set, of this plan.
    fn split_set(&mut self, set: &Set<'_>, plan: PlanId) -> Result<(), DecodeError> {
        let Some(known) = self.decoder.plan(plan) else {
            return Ok(());
        };
        let (kind, is_plain) = (known.kind, known.is_plain());
        let first = self.scratch.pieces.len();
        let (records, octets) = known.shape.split(set.body, &mut self.scratch.pieces)?;
        if self.decoder.checks_lengths(self.run.context.format) {
            let run = Run {
                records,
                ..*self.run
            };
            let records = Records {
                plan,
                body: &set.body[..octets],
                pieces: &self.scratch.pieces[first..],
                run: &run,
            };
            let templates = |template_id| self.lookup(template_id).plan();
            self.decoder.check_values(&records, &templates)?;
        }
        self.counts.data_records += records;
        if kind == RecordKind::Data {
            self.counts.flow_records += records;
        }
        self.scratch.steps.push(Step::Data(DataSet {
            template_id: set.id,
            plan,
            kind,
            is_plain,
            records,
            octets,
            pieces: first..self.scratch.pieces.len(),
            set: set.octets(),
        }));
        Ok(())
    }

    fn own_template(&self, template_id: u16) -> Option<Lookup> {
        let own = self.scratch.templates.get(&template_id)?;
        Some(own.map_or(Lookup::Missing, Lookup::Found))
    }

    /// The template in effect: of this message, else of earlier ones.
    fn lookup(&self, template_id: u16) -> Lookup {
        let own = self.own_template(template_id);
        let (decoder, context) = (&self.decoder, &self.run.context);
        own.unwrap_or_else(|| {
            let now_ns = context.received_ns;
            decoder.lookup(context.domain_index, context.session, template_id, now_ns)
        })
    }

    /// The same, for a data set that is now read with it.
    fn take_template(&mut self, template_id: u16) -> Lookup {
        let own = self.own_template(template_id);
        let (decoder, context) = (&mut self.decoder, &self.run.context);
        own.unwrap_or_else(|| {
            let now_ns = context.received_ns;
            decoder.take_template(context.domain_index, context.session, template_id, now_ns)
        })
    }
}
