//! Records made longer by what is known of them beside their own fields, with plans of templates made for them.

use std::hash::Hash;
use std::ops::Range;

use super::Decoder;
use super::derived::DerivedPlans;
use crate::batch::Run;
use crate::plan::Piece;
use crate::staging::{PlanId, Records};
use crate::template::Definition;

/// Longer records in the making, end to end. What is kept from one set to the next: plans of the combinations seen, and buffers.
#[derive(Debug)]
pub(super) struct LongerRecords<F> {
    plans: DerivedPlans<F>,
    /// The octets of the records.
    pub(super) arena: Vec<u8>,
    spans: Vec<Span>,
    pieces: Vec<Piece>,
}

/// Neighbouring records of one plan.
#[derive(Debug)]
struct Span {
    plan: PlanId,
    octets: Range<usize>,
    records: usize,
}

impl<F: Copy + Eq + Hash> LongerRecords<F> {
    /// `lengthen`: a template and fields after its own.
    pub(super) fn new(lengthen: fn(&Definition, &[F]) -> Definition) -> Self {
        Self {
            plans: DerivedPlans::new(lengthen),
            arena: Vec::new(),
            spans: Vec::new(),
            pieces: Vec::new(),
        }
    }

    /// Ends a record of a template that began at `start` in the arena, and has these fields after its own.
    pub(super) fn end_record(
        &mut self,
        decoder: &mut Decoder,
        plan_id: PlanId,
        start: usize,
        fields: &[F],
    ) {
        let plan = self.plans.plan(decoder, plan_id, fields);
        let octets = start..self.arena.len();
        match self.spans.last_mut() {
            Some(last) if last.plan == plan => {
                last.octets.end = octets.end;
                last.records += 1;
            }
            _ => self.spans.push(Span {
                plan,
                octets,
                records: 1,
            }),
        }
    }

    /// Takes all records out, each span with its plan. `run`: their message.
    pub(super) fn drain(
        &mut self,
        decoder: &mut Decoder,
        run: &Run,
        append: fn(&mut Decoder, &Records<'_>),
    ) {
        for span in self.spans.drain(..) {
            self.pieces.clear();
            let octets = &self.arena[span.octets];
            let split = decoder.split(span.plan, octets, &mut self.pieces);
            debug_assert_eq!(split, Ok((span.records, octets.len())));
            if let Ok((records, _)) = split {
                let run = Run { records, ..*run };
                append(
                    decoder,
                    &Records {
                        plan: span.plan,
                        body: octets,
                        pieces: &self.pieces,
                        run: &run,
                    },
                );
            }
        }
        self.arena.clear();
    }

    /// Gives all plans back.
    pub(super) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.plans.forget_plans()
    }
}
