//! NetFlow v9 (RFC 3954).

use super::templated::{self, Message};
use super::{Announced, sent_ms};
use crate::batch::{FormatCode, MessageContext, Run, mapped};
use crate::decoder::{Datagram, Decoder};
use crate::error::{DecodeError, Warning};
use crate::sequence::Units;
use crate::template::domain::DomainKey;
use crate::wire::netflow9::{Netflow9Packet, TemplateRecords, set_id};
use crate::wire::set::Set;

pub(super) fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    let packet = Netflow9Packet::new_checked(datagram.payload)?;
    let key = key(datagram, &packet);
    let sent_ms = sent_ms(i64::from(packet.unix_secs()) * 1000, datagram.received_ns);
    let mut run = Run {
        records: 0,
        context: MessageContext {
            domain: Some(key.domain),
            sequence: Some(packet.sequence()),
            export_time_ms: Some(sent_ms),
            uptime_ms: Some(packet.sys_uptime_ms()),
            ..decoder.hear(datagram, key)
        },
    };
    let counts = templated::decode(decoder, datagram, &mut run, packet.sets(), read_set)?;
    // FF-V9-03: many exporters count FlowSets; FF-V9-04: the sequence counts packets.
    if usize::from(packet.count()) != counts.template_records + counts.data_records
        && counts.undecoded_sets == 0
    {
        decoder.warn(Warning::CountMismatch);
    }
    let arrived = counts.volume(datagram.payload.len());
    decoder.observe_clock(&run.context);
    decoder.end_message(&run.context, Some(Units::new(1)), arrived);
    Ok(())
}

fn key(datagram: &Datagram<'_>, packet: &Netflow9Packet<'_>) -> DomainKey {
    DomainKey {
        exporter: mapped(datagram.exporter),
        format: FormatCode::Netflow9,
        domain: packet.source_id(),
    }
}

pub(super) fn announce(datagram: &Datagram<'_>) -> Option<Announced> {
    let packet = Netflow9Packet::new_checked(datagram.payload).ok()?;
    Some(Announced::new(key(datagram, &packet), packet.sets()))
}

fn read_set(message: &mut Message<'_>, set: &Set<'_>) -> Result<(), DecodeError> {
    match set.id {
        set_id::TEMPLATE | set_id::OPTIONS_TEMPLATE => {
            for said in TemplateRecords::new(set.body, set.id == set_id::OPTIONS_TEMPLATE) {
                let said = said?;
                if said.is_ipfix_form {
                    message.warn(Warning::Netflow9OptionsForm);
                }
                if said.has_variable_length() {
                    message.warn(Warning::Netflow9VariableLength);
                }
                message.template(set, &said.template)?;
            }
        }
        set_id::MIN_DATA.. => message.data(set)?,
        _ => message.warn(Warning::UnknownSet),
    }
    Ok(())
}
