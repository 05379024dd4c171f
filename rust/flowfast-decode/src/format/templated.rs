//! Messages that bring their own templates (v9, IPFIX): split whole, then committed, so that a malformed one leaves nothing
//! behind (FF-IX-03), with templates taking effect in the order of appearance (FF-IX-07, FF-V9-05).

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use crate::batch::{MessageContext, Run};
use crate::decoder::{Datagram, Decoder};
use crate::error::{DecodeError, SetLoss, Warning};
use crate::plan::Piece;
use crate::sequence::Volume;
use crate::staging::PlanId;
use crate::template::cache::{Lookup, Session};
use crate::template::domain::{Awaited, WaitingSet};
use crate::template::memory::{Taught, message_of_set};
use crate::template::options::Subject;
use crate::template::{Definition, RecordKind};
use crate::wire::set::{self, Set};

/// One part of a message, checked but not yet in effect.
#[derive(Debug)]
pub(crate) enum Step {
    Template {
        template_id: u16,
        plan: Option<PlanId>,
        kind: RecordKind,
        set: Range<usize>,
    },
    Records {
        template_id: u16,
        plan: PlanId,
        kind: Option<RecordKind>,
        records: usize,
        start: usize,
        octets: usize,
        pieces: Range<usize>,
        set: Range<usize>,
    },
    Undecodable {
        template_id: u16,
        set: Range<usize>,
        why: Lookup,
    },
    Warning(Warning),
}

/// What a set was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetKind {
    Templates,
    Data,
    /// Of a reserved or unassigned id: skipped by its length.
    Unknown,
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

/// A message that is being split.
pub(super) struct Message<'d, 'p> {
    decoder: &'d mut Decoder,
    payload: &'p [u8],
    session: Session,
    context: MessageContext,
    steps: Vec<Step>,
    pieces: Vec<Piece>,
    /// Templates of this message, the last definition of each id; `None` for one that was refused.
    own: HashMap<u16, Option<PlanId>, RandomState>,
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

impl<'d, 'p> Message<'d, 'p> {
    pub(super) fn begin(
        decoder: &'d mut Decoder,
        datagram: &Datagram<'p>,
        context: MessageContext,
    ) -> Self {
        let (steps, pieces) = decoder.take_scratch();
        let session = context.session;
        Self {
            decoder,
            payload: datagram.payload,
            session,
            context,
            steps,
            pieces,
            own: HashMap::default(),
        }
    }

    /// A warning, to be counted if the message is committed.
    pub(super) fn warn(&mut self, warning: Warning) {
        self.steps.push(Step::Warning(warning));
    }

    /// A template record.
    pub(super) fn template(
        &mut self,
        set: &Set<'p>,
        template_id: u16,
        definition: Definition,
    ) -> Result<(), DecodeError> {
        self.decoder
            .check_template(self.context.format, &definition)?;
        let kind = definition.kind;
        let plan = self.decoder.intern(definition);
        if plan.is_none() {
            self.warn(Warning::TemplateRefused);
        }
        self.own.insert(template_id, plan);
        self.steps.push(Step::Template {
            template_id,
            plan,
            kind,
            set: set.octets(),
        });
        Ok(())
    }

    /// A data set: its records are counted and checked.
    pub(super) fn data(&mut self, set: Set<'p>) -> Result<SetKind, DecodeError> {
        let step = match self.take_template(set.id) {
            found if !self.decoder.reads(found) => return Ok(SetKind::Data),
            Lookup::Found(plan) => {
                let first = self.pieces.len();
                let (records, octets) = self.decoder.split(plan, set.body, &mut self.pieces)?;
                let found = (&set.body[..octets], &self.pieces[first..], records);
                (self.decoder).check_values(self.context.format, plan, found, &|template_id| {
                    self.lookup(template_id).plan()
                })?;
                let kind = self.decoder.kind(plan);
                Step::Records {
                    template_id: set.id,
                    plan,
                    kind,
                    records,
                    start: set.offset,
                    octets,
                    pieces: first..self.pieces.len(),
                    set: set.octets(),
                }
            }
            why => Step::Undecodable {
                template_id: set.id,
                set: set.octets(),
                why,
            },
        };
        self.steps.push(step);
        Ok(SetKind::Data)
    }

    fn own_template(&self, template_id: u16) -> Option<Lookup> {
        let own = self.own.get(&template_id)?;
        Some(own.map_or(Lookup::Missing, Lookup::Found))
    }

    /// The template in effect: of this message, else of earlier ones.
    fn lookup(&self, template_id: u16) -> Lookup {
        self.own_template(template_id).unwrap_or_else(|| {
            self.decoder.lookup(
                self.context.domain_index,
                self.session,
                template_id,
                self.context.received_ns,
            )
        })
    }

    /// The same, for a data set that is now read with it.
    fn take_template(&mut self, template_id: u16) -> Lookup {
        if let Some(own) = self.own_template(template_id) {
            return own;
        }
        self.decoder.take_template(
            self.context.domain_index,
            self.session,
            template_id,
            self.context.received_ns,
        )
    }

    /// Ends a set; `false` if no more are to be read. A fault discards the message, or in lenient mode the rest of it (FF-IX-03).
    pub(super) fn finish_set(
        &mut self,
        outcome: Result<SetKind, DecodeError>,
    ) -> Result<bool, DecodeError> {
        match outcome {
            Ok(SetKind::Unknown) => self.warn(Warning::UnknownSet),
            Ok(SetKind::Templates | SetKind::Data) => {}
            Err(_) if self.decoder.is_lenient() => {
                self.warn(Warning::MalformedTail);
                return Ok(false);
            }
            Err(error) => {
                self.abandon();
                return Err(error);
            }
        }
        Ok(true)
    }

    fn abandon(&mut self) {
        for step in &self.steps {
            if let Step::Template {
                plan: Some(plan), ..
            } = step
            {
                self.decoder.release(*plan);
            }
        }
        self.decoder.return_scratch(
            std::mem::take(&mut self.steps),
            std::mem::take(&mut self.pieces),
        );
    }

    /// Puts everything into effect, in order of appearance.
    pub(super) fn commit(self) -> Counts {
        let Self {
            decoder,
            payload,
            session,
            context,
            steps,
            pieces,
            own,
        } = self;
        let run = |template_id: u16, records: usize| Run {
            records,
            context: MessageContext {
                template_id: Some(template_id),
                ..context
            },
        };
        let waiting_set = |context: MessageContext, set: Range<usize>, awaits| {
            let (message, set_start) = message_of_set(context.format, payload, set);
            WaitingSet {
                template_id: context.template_id.unwrap_or_default(),
                awaits,
                session,
                context,
                message,
                body_start: set_start + set::HEADER_LEN,
            }
        };
        let mut new_templates = Vec::new();
        let mut counts = Counts::default();
        for step in &steps {
            if let Step::Records {
                template_id,
                plan,
                kind: Some(RecordKind::Options),
                records,
                start,
                octets,
                pieces: ref range,
                ..
            } = *step
            {
                let (body, pieces) = (&payload[start..start + octets], &pieces[range.clone()]);
                let run = run(template_id, records);
                decoder.learn_from(Subject::Clock, plan, body, pieces, run);
            }
        }
        for step in &steps {
            match *step {
                Step::Template {
                    template_id,
                    plan,
                    kind,
                    ref set,
                } => {
                    counts.template_records += 1;
                    decoder.count_template(kind);
                    let Some(plan) = plan else { continue };
                    let is_new = decoder.store_template(
                        context.domain_index,
                        session,
                        template_id,
                        plan,
                        context.received_ns,
                    );
                    if is_new {
                        new_templates.push(template_id);
                    }
                    decoder.remember(
                        &context,
                        payload,
                        set.clone(),
                        Taught::Template(template_id),
                    );
                }
                Step::Records {
                    template_id,
                    plan,
                    kind,
                    records,
                    start,
                    octets,
                    pieces: ref range,
                    ref set,
                } => {
                    counts.data_records += records;
                    let (body, pieces) = (&payload[start..start + octets], &pieces[range.clone()]);
                    let run = run(template_id, records);
                    match kind {
                        Some(RecordKind::Data) => counts.flow_records += records,
                        Some(RecordKind::Options) => {
                            let taught = Taught::Options(template_id);
                            decoder.remember(&context, payload, set.clone(), taught);
                            decoder.take_reports(plan, body, pieces, run);
                        }
                        _ => {}
                    }
                    // One of this message is stored by now, and was not when the set was read.
                    if own.contains_key(&template_id) {
                        decoder.take_template(
                            context.domain_index,
                            session,
                            template_id,
                            context.received_ns,
                        );
                    }
                    match decoder.lacks_properties(plan, body, pieces, &run, 0) {
                        None => decoder.append_records(plan, body, pieces, run),
                        Some(awaits) => {
                            decoder.count_undecodable(context.domain_index);
                            decoder.wait(waiting_set(run.context, set.clone(), awaits));
                        }
                    }
                }
                Step::Undecodable {
                    template_id,
                    ref set,
                    why,
                } => {
                    counts.undecoded_sets += 1;
                    if decoder.learns() {
                        continue; // it was counted when it came
                    }
                    decoder.count_undecodable(context.domain_index);
                    let octets = set.len() - set::HEADER_LEN;
                    match why {
                        Lookup::Expired => decoder.discard_set(
                            context.domain_index,
                            SetLoss::ExpiredTemplate,
                            octets,
                        ),
                        Lookup::Missing | Lookup::Ambiguous | Lookup::Found(_) => {
                            if why == Lookup::Ambiguous {
                                decoder.count_ambiguous(context.domain_index);
                            }
                            let context = MessageContext {
                                template_id: Some(template_id),
                                ..context
                            };
                            decoder.wait(waiting_set(context, set.clone(), Awaited::Template));
                        }
                    }
                }
                Step::Warning(warning) => decoder.warn(warning),
            }
        }
        decoder.return_scratch(steps, pieces);
        // Once a message, however many templates it defines.
        decoder.decode_waiting(context.domain_index, new_templates, context.received_ns);
        counts
    }
}
