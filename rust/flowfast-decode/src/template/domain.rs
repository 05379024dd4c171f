//! Everything known of one Observation Domain.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use super::Definition;
use super::cache::{Session, TemplateCache};
use super::memory::Memory;
use super::neglect::neglect;
use super::options::{OptionsState, SessionOptions};
use crate::batch::{FormatCode, MessageContext, Run};
use crate::column::Address;
use crate::element::ElementId;
use crate::ledger::Place;
use crate::prefetch::prefetch;
use crate::sequence::{ExporterReport, SampleSequences, SampleTotals, Streams};
use crate::staging::PlanId;

/// Names the state of one Observation Domain. Formats do not share it (FF-TR-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DomainKey {
    pub(crate) exporter: Address,
    pub(crate) format: FormatCode,
    /// Observation Domain id; for v8 with the aggregation method, which has a sequence of its own (FF-NF-03).
    pub(crate) domain: u32,
}

impl Hash for DomainKey {
    /// By two words: it is looked for once a message.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.exporter));
        state.write_u64(u64::from(self.domain) << 8 | self.format as u64);
    }
}

/// What a data set waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    Template,
    /// The common properties (RFC 5473) that a record refers to; those before it lack none. Refers to the plan: its template may be
    /// redefined.
    Properties {
        id: u64,
        plan: PlanId,
        record: usize,
    },
}

/// A data set that came before its template, or before what its records refer to.
#[derive(Debug)]
pub(crate) struct WaitingSet {
    pub(crate) template_id: u16,
    pub(crate) awaits: Awaited,
    pub(crate) session: Session,
    pub(crate) context: MessageContext,
    /// A message with this set only, and where the set's body begins.
    pub(crate) message: Box<[u8]>,
    pub(crate) body_start: usize,
}

impl WaitingSet {
    /// The set without its header.
    pub(crate) fn body(&self) -> &[u8] {
        &self.message[self.body_start..]
    }

    /// Its records as consecutive rows of their message.
    pub(crate) fn run(&self, records: usize) -> Run {
        Run {
            records,
            context: self.context,
        }
    }

    /// Octets it takes of what may wait: a set of few octets, or none, takes memory all the same.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>() + self.message.len()
    }
}

/// Elements in no registry that are noted of a domain: beyond them, what is unknown is counted and not named (FF-RB-04).
const MAX_UNKNOWN_ELEMENTS: usize = 64;

/// Everything known of one Observation Domain. It is laid out as it stands here, in cache lines: what every message touches is in the
/// first and, together, from the end of `templates` to the beginning of `streams`, for there may be many more domains than caches hold.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Domain {
    pub(crate) key: DomainKey,
    pub(crate) account: Place,
    pub(crate) last_seen_ns: i64,
    pub(crate) datagrams: u64,
    pub(crate) records: u64,
    pub(crate) templates: TemplateCache,
    /// How far its clock is ahead of ours, by its latest message that says when it was sent, milliseconds.
    pub(crate) clock_ahead_ms: Option<i64>,
    /// Where its last message came from.
    pub(crate) source: Address,
    pub(crate) session: Session,
    /// Rates in headers and in records.
    header_tells_rate: bool,
    record_tells_rate: bool,
    /// It is none: its place is free.
    pub(super) is_gone: bool,
    pub(crate) options: SessionOptions,
    pub(crate) streams: Streams,
    pub(crate) waiting: VecDeque<WaitingSet>,
    pub(crate) first_seen_ns: i64,
    /// What taught its templates and options, for a journal.
    pub(crate) memory: Memory,
    /// Of sFlow.
    pub(crate) samples: SampleSequences,
    /// When it started, and its uptime, by its last v9 packet; milliseconds.
    pub(crate) clock: Option<(i64, u32)>,
    pub(crate) waiting_octets: usize,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    /// Sent while no process of ours was there.
    pub(crate) missed: u64,
    pub(crate) report: ExporterReport,
    pub(crate) sample_totals: SampleTotals,
    pub(crate) templates_redefined: u64,
    pub(crate) sets_ambiguous: u64,
    /// Elements in no registry that the templates of a session have, each once (FF-IX-17).
    pub(crate) unknown_elements: Vec<(Session, ElementId)>,
}

impl Domain {
    pub(super) fn new(key: DomainKey) -> Self {
        Self {
            key,
            templates: TemplateCache::default(),
            options: SessionOptions::default(),
            memory: Memory::default(),
            streams: Streams::default(),
            samples: SampleSequences::default(),
            clock: None,
            waiting: VecDeque::new(),
            waiting_octets: 0,
            datagrams: 0,
            records: 0,
            lost: 0,
            late: 0,
            missed: 0,
            report: ExporterReport::default(),
            sample_totals: SampleTotals::default(),
            first_seen_ns: 0,
            last_seen_ns: 0,
            source: key.exporter,
            session: Session::default(),
            account: Place::UNKNOWN,
            clock_ahead_ms: None,
            header_tells_rate: false,
            record_tells_rate: false,
            is_gone: false,
            templates_redefined: 0,
            sets_ambiguous: 0,
            unknown_elements: Vec::new(),
        }
    }

    /// What stands where no domain is.
    pub(super) fn gone() -> Self {
        let key = DomainKey {
            exporter: Address::default(),
            format: FormatCode::Netflow1,
            domain: 0,
        };
        Self {
            is_gone: true,
            ..Self::new(key)
        }
    }

    /// What is most neglected is forgotten first.
    pub(super) fn neglect(&self, now_ns: i64) -> f64 {
        neglect(self.first_seen_ns, self.last_seen_ns, now_ns)
    }

    /// Notes what a message says beside its records, and whether these tell a sampling rate.
    pub(crate) fn hear(&mut self, context: &MessageContext, record_tells_rate: bool) {
        if let Some(export_time_ms) = context.export_time_ms {
            let received_ms = context.received_ns / 1_000_000;
            self.clock_ahead_ms = Some(export_time_ms.saturating_sub(received_ms));
        }
        self.header_tells_rate |= context.header_sampling_rate.is_some();
        self.record_tells_rate |= record_tells_rate;
    }

    /// Notes elements of a session's template that are in no registry.
    pub(crate) fn note_unknown(&mut self, session: Session, definition: &Definition) {
        for field in &definition.fields {
            let unknown = (session, field.element);
            if self.unknown_elements.len() < MAX_UNKNOWN_ELEMENTS
                && field.element.describe().is_none()
                && !self.unknown_elements.contains(&unknown)
            {
                self.unknown_elements.push(unknown);
            }
        }
    }

    /// Asks for each cache line that a message will need, and reads none: so the processor waits at once for those that no cache holds,
    /// and not for one after the other, or not at all if that is done early.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.key);
        prefetch(&self.templates.first_id);
        prefetch(&self.session);
        self.streams.prefetch();
    }

    /// Notes where a message comes from.
    pub(crate) fn hear_from(&mut self, source: Address, session: Session) {
        (self.source, self.session) = (source, session);
    }

    /// Where sampling rates of its records can come from, in the words of the column `sampling_source`; the best of them.
    pub(crate) fn sampling_source(&self) -> &'static str {
        if self.record_tells_rate {
            "record"
        } else if self.options.tell_rates() {
            "options"
        } else if self.header_tells_rate {
            "header"
        } else {
            "none"
        }
    }

    /// What options data has taught about the records of a session: its own, or where it defines no templates either and all
    /// other sessions of the address agree, theirs.
    pub(crate) fn options_of(&self, session: Session) -> Option<&OptionsState> {
        self.options
            .of(session, || !self.templates.is_defining(session))
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn what_every_message_touches_is_in_four_cache_lines() {
        const LINE: usize = 64;
        let templates = offset_of!(Domain, templates);
        let streams = 96; // the beginning of `streams`
        assert_eq!(templates, LINE);
        assert!(templates + offset_of!(TemplateCache, first_id) >= 2 * LINE);
        assert_eq!(offset_of!(Domain, streams) + streams, 5 * LINE);
        let line = |offset| offset / LINE;
        assert_eq!(line(offset_of!(Domain, key)), 0);
        assert_eq!(line(templates + offset_of!(TemplateCache, first_id)), 2);
        assert_eq!(line(offset_of!(Domain, session)), 3);
        let domain = Domain::gone();
        let base = (&raw const domain).addr();
        assert_eq!(line(domain.streams.tracker_address() - base), 4);
    }
}
