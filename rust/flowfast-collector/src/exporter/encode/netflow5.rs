//! NetFlow v5: a header and up to 30 records of 48 octets (registry/netflow-fixed-layouts.csv).

use super::{Encoder, Header, put};
use crate::exporter::{mix::Flow, template::Templates};

const HEADER_OCTETS: usize = 24;
const MAX_RECORDS: usize = 30;

mod field {
    pub(super) const VERSION: usize = 0;
    pub(super) const COUNT: usize = 2;
    pub(super) const SYS_UP_TIME: usize = 4;
    pub(super) const UNIX_SECS: usize = 8;
    pub(super) const UNIX_NSECS: usize = 12;
    pub(super) const FLOW_SEQUENCE: usize = 16;
    /// engine_type and engine_id.
    pub(super) const ENGINE: usize = 20;
}

/// Encodes v5, whose one layout is a template that is never sent.
pub(super) struct Netflow5(pub(super) Templates);

impl Encoder for Netflow5 {
    fn max_records(&self) -> usize {
        MAX_RECORDS
    }

    fn data_message_octets(&self, ipv4: usize, _ipv6: usize) -> usize {
        HEADER_OCTETS + ipv4 * self.0.ipv4.record_octets()
    }

    fn template_message(&self) -> Option<Vec<u8>> {
        None
    }

    fn data_message(&self, flows: &[Flow], boot_time_ms: u64) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.data_message_octets(flows.len(), 0));
        message.resize(HEADER_OCTETS, 0);
        put(&mut message, field::VERSION, 5_u16.to_be_bytes());
        put(
            &mut message,
            field::COUNT,
            (flows.len() as u16).to_be_bytes(),
        );
        for flow in flows {
            self.0.ipv4.encode(flow, boot_time_ms, &mut message);
        }
        message
    }

    fn stamp(&self, message: &mut [u8], header: Header) {
        // sysUpTime and the two UNIX times are one instant, or flow times would be off by the difference.
        let uptime_ms = (header.time_ms - header.boot_time_ms) as u32;
        let nanoseconds = (header.time_ms % 1000) as u32 * 1_000_000;
        put(message, field::SYS_UP_TIME, uptime_ms.to_be_bytes());
        put(
            message,
            field::UNIX_SECS,
            ((header.time_ms / 1000) as u32).to_be_bytes(),
        );
        put(message, field::UNIX_NSECS, nanoseconds.to_be_bytes());
        put(message, field::FLOW_SEQUENCE, header.sequence.to_be_bytes());
        put(
            message,
            field::ENGINE,
            (header.observation_domain_id as u16).to_be_bytes(),
        );
    }

    /// Flows (FF-NF-03).
    fn sequence_step(&self, records: u32) -> u32 {
        records
    }
}
