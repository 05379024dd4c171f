//! IPFIX (RFC 7011) over UDP.

use super::templated::{self, Message};
use super::{Announced, sent_ms};
use crate::batch::{FormatCode, MessageContext, Run, mapped};
use crate::decoder::{Datagram, Decoder};
use crate::error::{DecodeError, Warning};
use crate::sequence::Units;
use crate::template::domain::DomainKey;
use crate::wire::ipfix::{IpfixMessage, Statement, TemplateRecords, set_id};
use crate::wire::netflow9;
use crate::wire::set::Set;
use crate::wire::template::TemplateRecord;

pub(super) fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    let header = IpfixMessage::new_checked(datagram.payload)?;
    let key = key(datagram, &header);
    let sent_ms = sent_ms(i64::from(header.export_time()) * 1000, datagram.received_ns);
    let mut run = Run {
        records: 0,
        context: MessageContext {
            domain: Some(key.domain),
            sequence: Some(header.sequence()),
            export_time_ms: Some(sent_ms),
            ..decoder.hear(datagram, key)
        },
    };
    let counts = templated::decode(decoder, datagram, &mut run, header.sets(), read_set)?;
    if header.trailing_octets() > 0 {
        decoder.warn(Warning::TrailingOctets);
    }
    // FF-SQ-01: data records, options included; FF-SQ-02: unknown if a set could not be counted.
    let units = (counts.undecoded_sets == 0).then_some(Units {
        all: counts.data_records as u32,
        flows: counts.flow_records as u32,
    });
    let arrived = counts.volume(datagram.payload.len() - header.trailing_octets());
    decoder.end_message(&run.context, units, arrived);
    Ok(())
}

fn key(datagram: &Datagram<'_>, header: &IpfixMessage<'_>) -> DomainKey {
    DomainKey {
        exporter: mapped(datagram.exporter),
        format: FormatCode::Ipfix,
        domain: header.observation_domain_id(),
    }
}

pub(super) fn announce(datagram: &Datagram<'_>) -> Option<Announced> {
    let header = IpfixMessage::new_checked(datagram.payload).ok()?;
    Some(Announced::new(key(datagram, &header), header.sets()))
}

fn read_set(message: &mut Message<'_>, set: &Set<'_>) -> Result<(), DecodeError> {
    match set.id {
        set_id::TEMPLATE | set_id::OPTIONS_TEMPLATE => {
            for said in TemplateRecords::new(set.body, set.id == set_id::OPTIONS_TEMPLATE) {
                match said? {
                    Statement::Template(template) => message.template(set, &template)?,
                    // Section 8.4: over UDP withdrawals are ignored (FF-TL-04).
                    Statement::Withdrawal => message.warn(Warning::WithdrawalIgnored),
                }
            }
        }
        set_id::MIN_DATA.. => message.data(set)?,
        _ => read_unassigned(message, set)?,
    }
    Ok(())
}

/// Skips a set of a reserved or unassigned id; in lenient mode it may be one of v9 (FF-IX-05).
fn read_unassigned(message: &mut Message<'_>, set: &Set<'_>) -> Result<(), DecodeError> {
    let templates = match message.is_lenient() {
        true => netflow9_templates(set),
        false => Vec::new(),
    };
    message.warn(if templates.is_empty() {
        Warning::UnknownSet
    } else {
        Warning::Netflow9SetId
    });
    for template in templates {
        message.template(set, &template)?;
    }
    Ok(())
}

/// The templates of a set under one of v9's ids (FF-Q-04). Those of options are in v9's form or IPFIX's, whichever can be meant; none
/// if the set is not whole in either, so that what is no template set is skipped.
fn netflow9_templates<'a>(set: &Set<'a>) -> Vec<TemplateRecord<'a>> {
    let is_options = match set.id {
        netflow9::set_id::TEMPLATE => false,
        netflow9::set_id::OPTIONS_TEMPLATE => true,
        _ => return Vec::new(),
    };
    let netflow9 = || {
        netflow9::TemplateRecords::new(set.body, true)
            .map(|said| Some(said.ok().filter(|said| !said.is_ipfix_form)?.template))
            .collect::<Option<Vec<_>>>()
    };
    let ipfix = || {
        TemplateRecords::new(set.body, is_options)
            .map(|said| match said.ok()? {
                Statement::Template(template) => Some(template),
                Statement::Withdrawal => None,
            })
            .collect()
    };
    let templates = is_options.then(netflow9).flatten().or_else(ipfix);
    templates.unwrap_or_default()
}
