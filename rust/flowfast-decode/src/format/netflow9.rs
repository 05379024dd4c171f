//! NetFlow v9 (RFC 3954).

use super::templated::{Message, SetKind};
use super::{Format, sent_ms};
use crate::batch::{FormatCode, MessageContext, mapped};
use crate::bytes::be16;
use crate::decoder::{Datagram, Decoder};
use crate::error::{DecodeError, Warning};
use crate::sequence::Units;
use crate::template::VARIABLE;
use crate::template::domain::DomainKey;
use crate::wire::netflow9::{Netflow9Packet, TemplateRecords, set_id};

pub(super) const FORMAT: Format = Format {
    probe: |payload| be16(payload, 0) == 9,
    decode,
};

fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    let packet = Netflow9Packet::new_checked(datagram.payload)?;
    let exporter = mapped(datagram.exporter);
    let domain = packet.source_id();
    let domain_index = decoder.domain(
        DomainKey {
            exporter,
            format: FormatCode::Netflow9,
            domain,
        },
        datagram.received_ns,
    );
    let context = MessageContext {
        format: FormatCode::Netflow9,
        domain_index,
        sender_index: domain_index,
        session: datagram.session(),
        exporter,
        source: exporter,
        domain: Some(domain),
        sequence: Some(packet.sequence()),
        template_id: None,
        received_ns: datagram.received_ns,
        export_time_ms: Some(sent_ms(
            i64::from(packet.unix_secs()) * 1000,
            datagram.received_ns,
        )),
        uptime_ms: Some(packet.sys_uptime_ms()),
        header_sampling_rate: None,
    };
    let mut message = Message::begin(decoder, datagram, context);
    for set in packet.sets() {
        let outcome = set.and_then(|set| match set.id {
            set_id::TEMPLATE | set_id::OPTIONS_TEMPLATE => {
                for record in TemplateRecords::new(set.body, set.id == set_id::OPTIONS_TEMPLATE) {
                    let record = record?;
                    if record.is_ipfix_form {
                        message.warn(Warning::Netflow9OptionsForm);
                    }
                    let definition = record.definition;
                    if definition
                        .fields
                        .iter()
                        .any(|field| field.length == VARIABLE)
                    {
                        message.warn(Warning::Netflow9VariableLength);
                    }
                    message.template(&set, record.template_id, definition)?;
                }
                Ok(SetKind::Templates)
            }
            set_id::MIN_DATA.. => message.data(set),
            _ => Ok(SetKind::Unknown),
        });
        if !message.finish_set(outcome)? {
            break;
        }
    }
    let counts = message.commit();
    // FF-V9-03: many exporters count FlowSets; FF-V9-04: the sequence counts packets.
    if usize::from(packet.count()) != counts.template_records + counts.data_records
        && counts.undecoded_sets == 0
    {
        decoder.warn(Warning::CountMismatch);
    }
    let arrived = counts.volume(datagram.payload.len());
    decoder.observe_clock(&context);
    decoder.end_message(&context, Some(Units::new(1)), arrived);
    Ok(())
}
