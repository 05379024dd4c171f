//! The Observation Domains that were heard of, and what their sequence numbers tell.

use std::net::IpAddr;

use super::{Datagram, Decoder, Intake};
use crate::batch::{FormatCode, MessageContext, Run, unmapped};
use crate::element::ElementId;
use crate::error::{SetLoss, Warning};
use crate::ledger::NOBODY;
use crate::sequence::{
    ExporterReport, News, SampleHeader, SampleTotals, SequenceEvent, SequencedMessage, Units,
    Volume,
};
use crate::template::cache::Session;
use crate::template::domain::{Domain, DomainKey};

/// How far an exporter's start may move from message to message (FF-V9-10).
const CLOCK_JITTER_MS: u64 = 5000;

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
    /// Of those, what came later than its successors, and so was not lost.
    pub late: u64,
    /// Sent while no collector ran, by sequence numbers across a restart.
    pub missed: u64,
    /// What `lost` and `missed` count: `records`, `packets`, `messages` if the exporter does not follow the standard (FF-SQ-06), or `none`
    /// where the format has no sequence (FF-NF-04).
    pub lost_unit: &'static str,
    /// What it says of itself.
    pub report: ExporterReport,
    /// What its samples tell, if it is an sFlow agent.
    pub samples: SampleTotals,
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
    /// Elements of its templates that are in no registry, some dozens at most: (source port, element), each once (FF-IX-17).
    pub unknown_elements: Vec<(u16, ElementId)>,
}

/// What a format's sequence numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SequenceUnit {
    Records,
    Packets,
}

impl SequenceUnit {
    /// None: the format has no sequence (FF-NF-04).
    fn of(format: FormatCode) -> Option<Self> {
        match format {
            FormatCode::Netflow1 => None,
            FormatCode::Netflow9 | FormatCode::Sflow2 | FormatCode::Sflow4 | FormatCode::Sflow5 => {
                Some(Self::Packets)
            }
            FormatCode::Netflow5
            | FormatCode::Netflow6
            | FormatCode::Netflow7
            | FormatCode::Netflow8
            | FormatCode::Ipfix => Some(Self::Records),
        }
    }
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
                late: domain.late,
                missed: domain.missed,
                report: domain.report,
                samples: domain.sample_totals,
                lost_unit: match SequenceUnit::of(format) {
                    None => "none",
                    Some(_) if domain.streams.counts_messages() => "messages",
                    Some(SequenceUnit::Packets) => "packets",
                    Some(SequenceUnit::Records) => "records",
                },
                templates: domain.templates.len(),
                last_seen_ns: domain.last_seen_ns,
                clock_ahead_ms: domain.clock_ahead_ms,
                sampling_source: domain.sampling_source(),
                sets_waiting: domain.waiting.len(),
                templates_redefined: domain.templates_redefined,
                sets_ambiguous: domain.sets_ambiguous,
                unknown_elements: (domain.unknown_elements.iter())
                    .map(|(session, element)| (session.exporter_port, *element))
                    .collect(),
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

    /// What the sender alone tells of the records of a message, whose header tells more.
    pub(crate) fn hear(&mut self, datagram: &Datagram<'_>, key: DomainKey) -> MessageContext {
        let domain_index = self.domain(key, datagram.received_ns);
        MessageContext {
            format: key.format,
            domain_index,
            sender_index: domain_index,
            session: datagram.session(),
            exporter: key.exporter,
            source: key.exporter,
            domain: None,
            sequence: None,
            template_id: None,
            received_ns: datagram.received_ns,
            export_time_ms: None,
            uptime_ms: None,
            header_sampling_rate: None,
        }
    }

    /// Finds or makes the state of an Observation Domain, and notes that it was heard of.
    pub(super) fn domain(&mut self, key: DomainKey, received_ns: i64) -> usize {
        let index = match self.domains.find(&key) {
            Some(index) => index,
            None => {
                if self.domains.len() >= self.limits.domains {
                    self.evict_domains();
                }
                self.new_domain(key, received_ns)
            }
        };
        if let Some(domain) = self.domains.get_mut(index) {
            domain.datagrams += u64::from(self.intake == Intake::Received);
            domain.last_seen_ns = received_ns;
            domain.prefetch();
            self.ledger.hear(domain);
        }
        self.heard = Some(index);
        index
    }

    /// Makes the state of an Observation Domain that is not known.
    pub(super) fn new_domain(&mut self, key: DomainKey, received_ns: i64) -> usize {
        let index = self.domains.insert(key);
        if let Some(domain) = self.domains.get_mut(index) {
            domain.first_seen_ns = received_ns;
        }
        index
    }

    /// The ledger's account of a domain.
    pub(super) fn account(&mut self, domain_index: usize) -> usize {
        let domain = self.domains.get_mut(domain_index);
        domain.map_or(NOBODY, |domain| self.ledger.of(domain))
    }

    /// Counts a data set that cannot be decoded now.
    pub(crate) fn count_undecodable(&mut self, domain_index: usize) {
        let account = self.account(domain_index);
        self.stats.sets_undecodable += 1;
        self.ledger.at(account).sets_undecodable += 1;
    }

    /// Counts a data set that will never be decoded.
    pub(crate) fn discard_set(&mut self, domain_index: usize, loss: SetLoss, octets: usize) {
        let account = self.account(domain_index);
        self.discard_set_of(account, loss, octets);
    }

    pub(super) fn discard_set_of(&mut self, account: usize, loss: SetLoss, octets: usize) {
        self.stats.discard_set(loss, octets);
        self.ledger.at(account).discard_set(loss, octets);
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
        for (mut domain, plans) in self.domains.evict(self.now_ns) {
            self.stats.warn(Warning::ExporterEvicted);
            self.templates -= plans.len();
            self.options_octets -= domain.options.octets();
            self.sample_sources -= domain.samples.len();
            self.memory_octets -= domain.memory.octets();
            plans.into_iter().for_each(|plan| self.plans.release(plan));
            let account = self.ledger.of(&mut domain);
            for set in domain.waiting {
                self.unwait(&set, account);
                self.give_up(account, set);
            }
        }
        // Another domain may get the place of one that is gone.
        self.heard = None;
        self.transpose_all();
    }

    /// Counts jumps of an exporter's clock: its start moves by more than it can be rounded, and it has not started anew (FF-V9-10).
    /// Its templates are kept: boot times of real exporters jitter.
    pub(crate) fn observe_clock(&mut self, context: &MessageContext) {
        if self.learns() {
            return;
        }
        let (Some(domain), Some(boot_ms), Some(uptime_ms)) = (
            self.domains.get_mut(context.domain_index),
            context.boot_ms(),
            context.uptime_ms,
        ) else {
            return;
        };
        if let Some((boot_before_ms, uptime_before_ms)) = domain.clock.replace((boot_ms, uptime_ms))
            && uptime_ms >= uptime_before_ms
            && boot_ms.abs_diff(boot_before_ms) > CLOCK_JITTER_MS
        {
            self.stats.warn(Warning::ClockJump);
        }
    }

    /// Ends a message: what its sequence number tells, and what the exporter said of itself in it. `arrived` is the message itself.
    pub(crate) fn end_message(
        &mut self,
        context: &MessageContext,
        units: Option<Units>,
        arrived: Volume,
    ) {
        if self.intake == Intake::Lesson {
            self.reports.clear();
            return;
        }
        let is_recalled = self.intake == Intake::Recalled;
        let (Some(domain), Some(sequence)) =
            (self.domains.get_mut(context.domain_index), context.sequence)
        else {
            return;
        };
        domain.hear_from(context.source, context.session);
        let message = SequencedMessage {
            sequence,
            units,
            uptime_ms: context.uptime_ms,
            received_ns: context.received_ns,
            is_recalled,
            arrived,
            reports: &self.reports,
        };
        let news = domain.streams.observe(stream_of(context), message);
        self.reports.clear();
        if news != News::default() && !is_recalled {
            self.take_news(context, &news);
        }
    }

    /// Counts what a message has told that was not to be expected.
    fn take_news(&mut self, context: &MessageContext, news: &News) {
        let account = self.account(context.domain_index);
        let Some(domain) = self.domains.get_mut(context.domain_index) else {
            return;
        };
        domain.lost += news.lost;
        domain.late += news.late;
        domain.missed += news.missed;
        let (stats, counts) = (&mut self.stats, self.ledger.at(account));
        if let Some(report) = news.report {
            domain.report += report;
            stats.exporter_records_reported += report.records_reported;
            stats.exporter_records_arrived += report.records_arrived;
            stats.exporter_records_not_sent += report.records_not_sent;
            stats.exporter_packets_ignored += report.packets_ignored;
        }
        if news.lost + news.late + news.missed > 0 {
            // FF-SQ-06: who numbers messages against the standard loses messages.
            let counts_records = SequenceUnit::of(context.format) == Some(SequenceUnit::Records)
                && !domain.streams.counts_messages();
            if counts_records {
                stats.sequence_lost_records += news.lost;
                stats.sequence_late_records += news.late;
                stats.collector_down_records += news.missed;
                counts.collector_down_records += news.missed as i64;
                counts.sequence_lost_records += news.lost as i64;
                counts.sequence_late_records += news.late as i64;
            } else {
                stats.sequence_lost_packets += news.lost;
                stats.sequence_late_packets += news.late;
                stats.collector_down_packets += news.missed;
                counts.collector_down_packets += news.missed as i64;
                counts.sequence_lost_packets += news.lost as i64;
                counts.sequence_late_packets += news.late as i64;
            }
        }
        match news.event {
            SequenceEvent::InOrder | SequenceEvent::Lost(_) => {}
            SequenceEvent::Late(_) | SequenceEvent::OutOfOrder => stats.warn(Warning::OutOfOrder),
            SequenceEvent::Duplicate => stats.warn(Warning::Duplicate),
            SequenceEvent::Restart => stats.warn(Warning::ExporterRestart),
        }
    }

    /// Flow Records that had waited for their template, of an earlier message.
    pub(crate) fn add_recovered(&mut self, run: &Run) {
        let session = stream_of(&run.context);
        if let Some(domain) = self.domains.get_mut(run.context.domain_index) {
            domain.streams.add_recovered(session, run.records as u64);
        }
    }

    /// What the samples of a datagram tell of their sources (FF-SF-04).
    pub(crate) fn observe_samples(&mut self, context: &MessageContext, samples: &[SampleHeader]) {
        let Some(domain) = self.domains.get_mut(context.domain_index) else {
            return;
        };
        let known = domain.samples.len();
        for sample in samples {
            let has_room = domain.samples.len() < self.limits.sample_sources_per_domain
                && self.sample_sources + domain.samples.len() - known < self.limits.sample_sources;
            match (domain.samples).observe(sample, context.uptime_ms, has_room) {
                Some(news) => {
                    domain.sample_totals += news;
                    self.stats.sequence_lost_flow_samples += news.flow_samples_lost;
                    self.stats.sequence_lost_counter_samples += news.counter_samples_lost;
                    self.stats.sequence_lost_discard_samples += news.discard_samples_lost;
                    self.stats.sequence_late_samples += news.samples_late;
                    self.stats.sample_drops += news.sample_drops;
                }
                None => self.stats.warn(Warning::SampleSourceRefused),
            }
        }
        self.sample_sources += domain.samples.len() - known;
    }
}

/// Whose sequence a message is of: its Transport Session's in IPFIX (FF-SQ-03), the exporter's in the others, from whatever port.
fn stream_of(context: &MessageContext) -> Session {
    match context.format {
        FormatCode::Ipfix => context.session,
        _ => Session::default(),
    }
}
