//! Records with packet sections (FF-PS-01): what the packet tells becomes fields of a longer record, of a template made for it, as
//! sFlow's samples do. What the record tells itself wins.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::Decoder;
use crate::batch::Run;
use crate::element::PADDING_OCTETS;
use crate::plan::{Layout, Piece, SectionField, flow_op};
use crate::schema::FLOW_COLUMNS;
use crate::staging::{PlanId, tile};
use crate::template::{Definition, FieldSpecifier};
use crate::wire::packet;
use crate::wire::sflow::record::{Field, RecordBuilder, field};

/// Combinations of templates and packet headers whose plans are remembered.
const MAX_PLANS: usize = 512;

/// packetDeltaCount: a packet is one packet.
const PACKETS: [Field; 1] = [field(2, 1)];

/// What is kept from one set to the next: plans of the combinations seen, and buffers.
#[derive(Debug, Default)]
pub(super) struct SectionReader {
    /// By the plan of the template, then by the fields that the packet adds.
    plans: HashMap<PlanId, HashMap<Box<[Field]>, PlanId, RandomState>, RandomState>,
    plan_count: usize,
    packet: RecordBuilder,
    arena: Vec<u8>,
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

impl Decoder {
    /// Appends the records of a set together with what their packets tell.
    pub(super) fn append_sections(
        &mut self,
        plan_id: PlanId,
        section: SectionField,
        body: &[u8],
        pieces: &[Piece],
        run: Run,
    ) {
        let mut reader = std::mem::take(&mut self.sections);
        reader.read(self, plan_id, section, body, pieces, run.records);
        let SectionReader {
            arena,
            spans,
            pieces,
            ..
        } = &mut reader;
        for span in spans.drain(..) {
            pieces.clear();
            let records = &arena[span.octets];
            let split = self.split(span.plan, records, pieces);
            debug_assert_eq!(split, Ok((span.records, records.len())));
            if let Ok((records_found, _)) = split {
                let run = Run {
                    records: records_found,
                    ..run
                };
                self.append_rows(span.plan, records, pieces, run);
            }
        }
        self.sections = reader;
    }
}

impl SectionReader {
    fn read(
        &mut self,
        decoder: &mut Decoder,
        plan_id: PlanId,
        section: SectionField,
        body: &[u8],
        pieces: &[Piece],
        records: usize,
    ) {
        self.arena.clear();
        self.spans.clear();
        for record in 0..records {
            let Some(plan) = decoder.plans.get(plan_id) else {
                return;
            };
            let tile = tile(plan, body, pieces, records);
            self.packet.clear();
            if let Some((protocol, octets)) = section.read(&tile, record) {
                packet::put_fields(&mut self.packet, protocol, octets);
            }
            if section.is_packet {
                self.packet.put(&PACKETS, &[1]);
            }
            let start = self.arena.len();
            self.arena.extend_from_slice(tile.record(record));
            let plan = self.plan(decoder, plan_id);
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
    }

    /// Ends the record: appends what its packet tells, and finds the plan for it.
    fn plan(&mut self, decoder: &mut Decoder, plan_id: PlanId) -> PlanId {
        let fields = self.packet.finish(&mut self.arena);
        let known = self.plans.get(&plan_id).and_then(|plans| plans.get(fields));
        if let Some(&known) = known {
            return known;
        }
        let fields: Box<[Field]> = fields.into();
        if self.plan_count >= MAX_PLANS {
            let released = self.forget_plans();
            released.into_iter().for_each(|plan| decoder.release(plan));
        }
        let definition = decoder.plans.definition(plan_id);
        let longer = definition.map(|definition| with_packet(definition, &fields));
        let Some(plan) = longer.and_then(|longer| decoder.intern(longer)) else {
            return plan_id;
        };
        decoder.plans.retain(plan_id);
        self.plans.entry(plan_id).or_default().insert(fields, plan);
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

/// A template and the fields of a packet after its own. Those that only a packet's header would bring to a column that the record
/// fills itself are padding.
fn with_packet(definition: &Definition, fields: &[Field]) -> Definition {
    let layout = Layout::new(definition);
    let filled: Vec<_> = FLOW_COLUMNS
        .iter()
        .filter(|column| {
            layout
                .as_ref()
                .is_some_and(|layout| flow_op(layout, 0, column).is_some())
        })
        .flat_map(|column| column.feeds)
        .map(|feed| feed.element)
        .collect();
    let added = fields.iter().map(|&field| {
        let mut field = FieldSpecifier::from(field);
        if filled.contains(&field.element) {
            field.element = PADDING_OCTETS;
        }
        field
    });
    Definition {
        fields: definition.fields.iter().copied().chain(added).collect(),
        ..definition.clone()
    }
}
