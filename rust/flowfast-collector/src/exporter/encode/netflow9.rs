//! NetFlow v9 (RFC 3954).

use super::{Encoder, Header, put, set};
use crate::exporter::{mix::Flow, template::Templates};

const HEADER_OCTETS: usize = 20;
const TEMPLATE_FLOWSET_ID: u16 = 0;

/// RFC 3954 section 5.1.
mod field {
    pub(super) const VERSION: usize = 0;
    pub(super) const COUNT: usize = 2;
    pub(super) const SYS_UP_TIME: usize = 4;
    pub(super) const UNIX_SECS: usize = 8;
    pub(super) const SEQUENCE_NUMBER: usize = 12;
    pub(super) const SOURCE_ID: usize = 16;
}

/// Encodes v9.
pub(super) struct Netflow9(pub(super) Templates);

impl Netflow9 {
    /// `records` are those of templates and of data (RFC 3954 section 5.1, Count).
    fn header(records: usize) -> Vec<u8> {
        let mut message = vec![0; HEADER_OCTETS];
        put(&mut message, field::VERSION, 9_u16.to_be_bytes());
        put(&mut message, field::COUNT, (records as u16).to_be_bytes());
        message
    }
}

impl Encoder for Netflow9 {
    fn max_records(&self) -> usize {
        usize::from(u16::MAX)
    }

    fn data_message_octets(&self, ipv4: usize, ipv6: usize) -> usize {
        HEADER_OCTETS + set::data_sets_octets(&self.0, ipv4, ipv6)
    }

    fn template_message(&self) -> Option<Vec<u8>> {
        let mut message = Self::header(self.0.all().count());
        set::append_template_set(&mut message, TEMPLATE_FLOWSET_ID, &self.0);
        Some(message)
    }

    fn data_message(&self, flows: &[Flow], boot_time_ms: u64) -> Vec<u8> {
        let mut message = Self::header(flows.len());
        set::append_data_sets(&mut message, &self.0, flows, boot_time_ms);
        message
    }

    fn stamp(&self, message: &mut [u8], header: Header) {
        // The header has whole seconds: sysUpTime is taken at the second too, so that a collector finds the
        // same boot time in every message (FF-V9-10, FF-V9-15).
        let unix_secs = header.time_ms / 1000;
        let uptime_ms = (unix_secs * 1000 - header.boot_time_ms) as u32;
        put(message, field::SYS_UP_TIME, uptime_ms.to_be_bytes());
        put(message, field::UNIX_SECS, (unix_secs as u32).to_be_bytes());
        put(
            message,
            field::SEQUENCE_NUMBER,
            header.sequence.to_be_bytes(),
        );
        put(
            message,
            field::SOURCE_ID,
            header.observation_domain_id.to_be_bytes(),
        );
    }

    /// Export packets (FF-V9-04).
    fn sequence_step(&self, _records: u32) -> u32 {
        1
    }
}
