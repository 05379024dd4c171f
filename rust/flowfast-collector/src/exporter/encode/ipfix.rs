//! IPFIX (RFC 7011).

use super::{Encoder, Header, put, set};
use crate::exporter::{mix::Flow, template::Templates};

const HEADER_OCTETS: usize = 16;
const TEMPLATE_SET_ID: u16 = 2;

/// RFC 7011 section 3.1.
mod field {
    pub(super) const VERSION: usize = 0;
    pub(super) const LENGTH: usize = 2;
    pub(super) const EXPORT_TIME: usize = 4;
    pub(super) const SEQUENCE_NUMBER: usize = 8;
    pub(super) const OBSERVATION_DOMAIN_ID: usize = 12;
}

/// Encodes IPFIX.
pub(super) struct Ipfix(pub(super) Templates);

impl Ipfix {
    /// A header, what `fill` appends, and the length over all.
    fn message(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut message = vec![0; HEADER_OCTETS];
        put(&mut message, field::VERSION, 10_u16.to_be_bytes());
        fill(&mut message);
        let length = message.len() as u16;
        put(&mut message, field::LENGTH, length.to_be_bytes());
        message
    }
}

impl Encoder for Ipfix {
    fn max_records(&self) -> usize {
        usize::MAX
    }

    fn data_message_octets(&self, ipv4: usize, ipv6: usize) -> usize {
        HEADER_OCTETS + set::data_sets_octets(&self.0, ipv4, ipv6)
    }

    fn template_message(&self) -> Option<Vec<u8>> {
        Some(Self::message(|message| {
            set::append_template_set(message, TEMPLATE_SET_ID, &self.0);
        }))
    }

    fn data_message(&self, flows: &[Flow], boot_time_ms: u64) -> Vec<u8> {
        Self::message(|message| set::append_data_sets(message, &self.0, flows, boot_time_ms))
    }

    fn stamp(&self, message: &mut [u8], header: Header) {
        put(
            message,
            field::EXPORT_TIME,
            ((header.time_ms / 1000) as u32).to_be_bytes(),
        );
        put(
            message,
            field::SEQUENCE_NUMBER,
            header.sequence.to_be_bytes(),
        );
        put(
            message,
            field::OBSERVATION_DOMAIN_ID,
            header.observation_domain_id.to_be_bytes(),
        );
    }

    /// Data records (FF-SQ-01).
    fn sequence_step(&self, records: u32) -> u32 {
        records
    }
}
