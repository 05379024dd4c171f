//! Records with packet sections (FF-PS-01): what the packet tells becomes fields of a longer record, of a template made for it, as
//! sFlow's samples do. What the record tells itself wins.

use super::Decoder;
use super::longer::LongerRecords;
use crate::element::PADDING_OCTETS;
use crate::plan::{Layout, SectionField, flow_op};
use crate::schema::FLOW_COLUMNS;
use crate::staging::{PlanId, Records};
use crate::template::Definition;
use crate::wire::packet;
use crate::wire::sflow::record::{Field, RecordBuilder, field, specifier};

/// packetDeltaCount: a packet is one packet.
const PACKETS: [Field; 1] = [field(2, 1)];

/// What is kept from one set to the next.
#[derive(Debug)]
pub(super) struct SectionReader {
    packet: RecordBuilder,
    longer: LongerRecords<Field>,
}

impl Default for SectionReader {
    fn default() -> Self {
        Self {
            packet: RecordBuilder::default(),
            longer: LongerRecords::new(with_packet),
        }
    }
}

impl Decoder {
    /// Appends the records of a set together with what their packets tell.
    pub(super) fn append_sections(&mut self, section: SectionField, records: &Records<'_>) {
        let mut reader = std::mem::take(&mut self.sections);
        reader.read(self, section, records);
        reader.longer.drain(self, records.run, Self::append_rows);
        self.sections = reader;
    }
}

impl SectionReader {
    fn read(&mut self, decoder: &mut Decoder, section: SectionField, records: &Records<'_>) {
        for record in 0..records.run.records {
            let Some(plan) = decoder.plans.get(records.plan) else {
                return;
            };
            let tile = records.tile(plan);
            self.packet.clear();
            if let Some((protocol, octets)) = section.read(&tile, record) {
                packet::put_fields(&mut self.packet, protocol, octets);
            }
            if section.is_packet {
                self.packet.put(&PACKETS, &[1]);
            }
            let start = self.longer.arena.len();
            self.longer.arena.extend_from_slice(tile.record(record));
            let fields = self.packet.finish(&mut self.longer.arena);
            self.longer.end_record(decoder, records.plan, start, fields);
        }
    }

    /// Gives all plans back.
    pub(super) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.longer.forget_plans()
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
        let mut field = specifier(field);
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
