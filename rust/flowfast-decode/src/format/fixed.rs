//! NetFlow v1, v5, v6, v7 and v8: constant templates.

use super::{Announced, sent_ms};
use crate::batch::{FormatCode, MessageContext, Run, mapped};
use crate::decoder::{Datagram, Decoder};
use crate::element::ElementId;
use crate::error::{DecodeError, Warning};
use crate::sequence::{Units, Volume};
use crate::staging::Records;
use crate::template::domain::DomainKey;
use crate::template::{Definition, FieldSpecifier, RecordKind};
use crate::wire::fixed::{FixedPacket, Layout, layouts};

/// The constant templates, in the order of `FixedPacket::layout_index`.
pub(crate) fn definitions() -> impl Iterator<Item = Definition> {
    layouts().iter().map(|layout| Definition {
        fields: layout
            .fields
            .iter()
            .map(|&(id, length)| FieldSpecifier {
                element: ElementId::iana(id),
                length,
            })
            .collect(),
        scope_count: 0,
        kind: RecordKind::Data,
        icmp_in_port: true,
        learned: Box::default(),
        objects: Box::default(),
    })
}

pub(super) fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    let packet = FixedPacket::new_checked(datagram.payload)?;
    let engine = packet.engine().map(u32::from);
    let key = key(datagram, &packet);
    let run = Run {
        records: packet.count(),
        context: MessageContext {
            domain: engine,
            sequence: packet.flow_sequence(),
            export_time_ms: Some(sent_ms(packet.export_time_ms(), datagram.received_ns)),
            uptime_ms: Some(packet.sys_uptime_ms()),
            // Interval 0 is unsampled; some exporters leave the mode at 0 and set the interval all the same.
            header_sampling_rate: packet
                .sampling()
                .map(|(_mode, interval)| u32::from(interval).max(1)),
            ..decoder.hear(datagram, key)
        },
    };
    if packet.trailing_octets() > 0 {
        decoder.warn(Warning::TrailingOctets);
    }
    if packet.is_above_maximum() {
        decoder.warn(Warning::CountAboveMaximum);
    }
    decoder.append_records(&Records {
        plan: decoder.fixed_plan(packet.layout_index),
        body: packet.records(),
        pieces: &[],
        run: &run,
    });
    let arrived = Volume {
        messages: 1,
        records: run.records as u64,
        octets: datagram.payload.len() as u64,
    };
    let units = Units::new(run.records as u32);
    decoder.end_message(&run.context, Some(units), arrived);
    Ok(())
}

fn key(datagram: &Datagram<'_>, packet: &FixedPacket<'_>) -> DomainKey {
    let engine = packet.engine().map_or(0, u32::from);
    DomainKey {
        exporter: mapped(datagram.exporter),
        format: code(packet.layout),
        domain: engine | u32::from(packet.layout.method) << 16,
    }
}

pub(super) fn announce(datagram: &Datagram<'_>) -> Option<Announced> {
    let packet = FixedPacket::new_checked(datagram.payload).ok()?;
    Some(Announced {
        key: key(datagram, &packet),
        set_id: None,
    })
}

/// Which of them the records of a domain have; `None` if its format has no constant templates.
pub(crate) fn layout_index(key: &DomainKey) -> Option<usize> {
    let method = key.domain >> 16;
    layouts()
        .iter()
        .position(|layout| code(layout) == key.format && u32::from(layout.method) == method)
}

fn code(layout: &Layout) -> FormatCode {
    match layout.version {
        1 => FormatCode::Netflow1,
        5 => FormatCode::Netflow5,
        6 => FormatCode::Netflow6,
        7 => FormatCode::Netflow7,
        _ => FormatCode::Netflow8,
    }
}
