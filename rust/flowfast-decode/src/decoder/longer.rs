//! Records made longer by what is known of them beside their own fields, with plans of templates made for them.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::Decoder;
use crate::batch::Run;
use crate::plan::Piece;
use crate::staging::PlanId;
use crate::template::Definition;

/// Combinations of templates and added fields whose plans are remembered.
const MAX_PLANS: usize = 512;

/// A template and fields after its own.
type Lengthen<F> = fn(&Definition, &[F]) -> Definition;

/// Longer records in the making, end to end. What is kept from one set to the next: plans of the combinations seen, and buffers.
#[derive(Debug)]
pub(super) struct LongerRecords<F> {
    lengthen: Lengthen<F>,
    /// By the plan of the template, then by the fields that are added.
    plans: HashMap<PlanId, HashMap<Box<[F]>, PlanId, RandomState>, RandomState>,
    plan_count: usize,
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
    pub(super) fn new(lengthen: Lengthen<F>) -> Self {
        Self {
            lengthen,
            plans: HashMap::default(),
            plan_count: 0,
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
        let plan = self.plan(decoder, plan_id, fields);
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
        run: Run,
        append: fn(&mut Decoder, PlanId, &[u8], &[Piece], Run),
    ) {
        for span in self.spans.drain(..) {
            self.pieces.clear();
            let octets = &self.arena[span.octets];
            let split = decoder.split(span.plan, octets, &mut self.pieces);
            debug_assert_eq!(split, Ok((span.records, octets.len())));
            if let Ok((records, _)) = split {
                append(
                    decoder,
                    span.plan,
                    octets,
                    &self.pieces,
                    Run { records, ..run },
                );
            }
        }
        self.arena.clear();
    }

    fn plan(&mut self, decoder: &mut Decoder, plan_id: PlanId, fields: &[F]) -> PlanId {
        if fields.is_empty() {
            return plan_id;
        }
        let known = self.plans.get(&plan_id).and_then(|plans| plans.get(fields));
        if let Some(&known) = known {
            return known;
        }
        if self.plan_count >= MAX_PLANS {
            let released = self.forget_plans();
            released.into_iter().for_each(|plan| decoder.release(plan));
        }
        let definition = decoder.plans.definition(plan_id);
        let longer = definition.map(|definition| (self.lengthen)(definition, fields));
        let Some(plan) = longer.and_then(|longer| decoder.intern(longer)) else {
            return plan_id;
        };
        decoder.plans.retain(plan_id);
        let plans = self.plans.entry(plan_id).or_default();
        plans.insert(fields.into(), plan);
        self.plan_count += 1;
        plan
    }

    /// Gives all plans back.
    pub(super) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.plan_count = 0;
        let plans = self.plans.drain();
        plans
            .flat_map(|(plan, longer)| longer.into_values().flat_map(move |longer| [plan, longer]))
            .collect()
    }
}
