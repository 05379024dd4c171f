//! The Observation Domains that were heard of, and what their sequence numbers tell.

use std::net::IpAddr;

use super::Decoder;
use crate::batch::{FormatCode, unmapped};
use crate::error::Warning;
use crate::sequence::{SequenceEvent, Units};
use crate::template::domain::{Domain, DomainKey};

/// What one Exporter and Observation Domain sent.
#[derive(Clone, Debug)]
pub struct ExporterSummary {
    /// Its address; of sFlow, the agent address.
    pub exporter: IpAddr,
    /// Observation Domain: v9 Source ID, v5-v8 engine type * 256 + engine id; sFlow v5 sub-agent id.
    pub domain: u32,
    /// `netflow_v5`, `ipfix`, ...
    pub format: &'static str,
    /// Datagrams received.
    pub datagrams: u64,
    /// Flow Records and options data records decoded.
    pub records: u64,
    /// Lost before us, by sequence numbers.
    pub lost: u64,
    /// What `lost` counts: `records`, `packets`, `messages` if the exporter does not follow the standard (FF-SQ-06), or `none`
    /// where the format has no sequence (FF-NF-04).
    pub lost_unit: &'static str,
    /// Templates known, over all its sessions.
    pub templates: usize,
    /// When its last datagram was received, nanoseconds since the UNIX epoch.
    pub last_seen_ns: i64,
    /// How far its clock is ahead of ours, by the export time of its latest message, milliseconds; `None` where the header has none.
    pub clock_ahead_ms: Option<i64>,
    /// Where sampling rates of its records can come from: record, options, header or none.
    pub sampling_source: &'static str,
    /// Data sets that wait for their template now.
    pub sets_waiting: usize,
    /// Template ids that got a new definition.
    pub templates_redefined: u64,
    /// Data sets whose id its sessions define differently.
    pub sets_ambiguous: u64,
}

/// What a format's sequence numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceUnit {
    Records,
    Packets,
}

impl Decoder {
    /// One row per Exporter, format and Observation Domain, in no order.
    pub fn exporters(&self) -> Vec<ExporterSummary> {
        let summary = |domain: &Domain| {
            let format = domain.key.format;
            ExporterSummary {
                exporter: unmapped(domain.key.exporter),
                domain: domain.key.domain,
                format: format.name(),
                datagrams: domain.datagrams,
                records: domain.records,
                lost: domain.lost,
                lost_unit: match (format, domain.sequence.counts_messages()) {
                    (FormatCode::Netflow1, _) => "none",
                    (_, true) => "messages",
                    (
                        FormatCode::Netflow9
                        | FormatCode::Sflow2
                        | FormatCode::Sflow4
                        | FormatCode::Sflow5,
                        _,
                    ) => "packets",
                    _ => "records",
                },
                templates: domain.templates.len(),
                last_seen_ns: domain.last_seen_ns,
                clock_ahead_ms: domain.clock_ahead_ms,
                sampling_source: domain.sampling_source(),
                sets_waiting: domain.waiting.len(),
                templates_redefined: domain.templates_redefined,
                sets_ambiguous: domain.sets_ambiguous,
            }
        };
        self.domains
            .iter()
            .map(|(_, domain)| summary(domain))
            .collect()
    }

    /// How many Observation Domains are known.
    pub fn exporter_count(&self) -> usize {
        self.domains.len()
    }

    /// Finds or makes the state of an Observation Domain, and notes that it was heard of.
    pub(crate) fn domain(&mut self, key: DomainKey, received_ns: i64) -> usize {
        let index = match self.domains.find(&key) {
            Some(index) => index,
            None => {
                if self.domains.len() >= self.limits.domains {
                    self.evict_domains();
                }
                self.domains.insert(key)
            }
        };
        if let Some(domain) = self.domains.get_mut(index) {
            domain.datagrams += u64::from(!self.learning);
            domain.last_seen_ns = received_ns;
        }
        index
    }

    /// Counts a data set whose id the sessions of its exporter define differently.
    pub(crate) fn count_ambiguous(&mut self, domain_index: usize) {
        self.warn(Warning::TemplateAmbiguous);
        if let Some(domain) = self.domains.get_mut(domain_index) {
            domain.sets_ambiguous += 1;
        }
    }

    pub(super) fn evict_domains(&mut self) {
        // Staged rows still read the state of their domain.
        self.transpose_all();
        for (domain, plans) in self.domains.evict_oldest() {
            self.stats.warn(Warning::ExporterEvicted);
            self.templates -= plans.len();
            self.options_octets -= domain.options.octets();
            self.memory_octets -= domain.memory.octets();
            plans.into_iter().for_each(|plan| self.plans.release(plan));
            for set in domain.waiting {
                self.unwait(&set);
                self.give_up(set);
            }
        }
    }

    pub(crate) fn observe_sequence(
        &mut self,
        domain_index: usize,
        sequence: u32,
        units: Option<Units>,
        uptime_ms: Option<u32>,
        unit: SequenceUnit,
    ) {
        if self.learning {
            return;
        }
        let Some(domain) = self.domains.get_mut(domain_index) else {
            return;
        };
        match domain.sequence.observe(sequence, units, uptime_ms) {
            SequenceEvent::InOrder => {}
            SequenceEvent::Lost(lost) => {
                let lost = u64::from(lost);
                domain.lost += lost;
                match unit {
                    SequenceUnit::Records => self.stats.sequence_lost_records += lost,
                    SequenceUnit::Packets => self.stats.sequence_lost_packets += lost,
                }
            }
            SequenceEvent::OutOfOrder => self.stats.warn(Warning::OutOfOrder),
            SequenceEvent::Restart => self.stats.warn(Warning::ExporterRestart),
        }
    }
}
