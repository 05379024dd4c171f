//! What the workers count, and how it is read without stopping them.
//!
//! The decoder counts what it sees; this file adds what happens before it (datagrams that never reach a decoder, kernel drops) and
//! after it (the queue), so that once all workers have stopped (architecture section 7)
//!
//! ```text
//! datagrams_received = datagrams_decoded + sum(datagrams_discarded)
//! records_decoded    = records_queued + sum(records_dropped)
//! ```
//!
//! While they run, `records_pending` are decoded and neither queued nor dropped.

use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use flowfast_decode::{AccountSummary, Counter, Datagram, ExporterSummary, Stats, TemplateSummary};

use crate::journal::JournalCounters;
use crate::queue::Sent;

/// Counters of one worker, beside its decoder's. They only grow, but for `records_pending`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerCounters {
    /// Datagrams given to a decoder that panicked before it counted them.
    pub(crate) received_uncounted: u64,
    /// Datagrams whose decoding panicked.
    pub(crate) discarded_panic: u64,
    /// Receptions: single datagrams and UDP_GRO trains.
    pub(crate) trains_received: u64,
    /// Errors of the socket other than a timeout.
    pub(crate) receive_errors: u64,
    /// Receptions that the kernel dropped at the socket: like a datagram, a whole train counts once, so this is the least that
    /// was lost there. What was in them, sequence numbers tell.
    pub(crate) kernel_drops: u64,
    /// Datagrams in them, about.
    pub(crate) kernel_drops_datagrams: u64,
    pub(crate) batches_queued: u64,
    pub(crate) records_queued: u64,
    pub(crate) dropped_queue_full: u64,
    /// The journal gives them again.
    pub(crate) dropped_to_journal: u64,
    pub(crate) dropped_closed: u64,
    pub(crate) dropped_panic: u64,
    /// Decoded, and waiting for their batch to close.
    pub(crate) records_pending: u64,
    pub(crate) worker_panics: u64,
    pub(crate) datagrams_journaled: u64,
    pub(crate) datagrams_unjournaled: u64,
    pub(crate) journal_octets: u64,
    pub(crate) journal_errors: u64,
    /// Publications of these counters: a worker that is stuck has no more of them.
    pub(crate) heartbeats: u64,
}

impl WorkerCounters {
    /// Counts what became of a flush.
    pub(crate) fn sent(&mut self, outcome: Sent, batches: u64, records: u64) {
        match outcome {
            Sent::Queued => {
                self.batches_queued += batches;
                self.records_queued += records;
            }
            Sent::QueueFull => self.missing(records, false),
            Sent::Closed => self.dropped_closed += records,
        }
    }

    /// Counts rows that the queue had no room for.
    pub(crate) fn missing(&mut self, records: u64, is_in_journal: bool) {
        if is_in_journal {
            self.dropped_to_journal += records;
        } else {
            self.dropped_queue_full += records;
        }
    }

    /// Takes over what the journal counts.
    pub(crate) fn journal(&mut self, journal: &JournalCounters) {
        self.datagrams_journaled = journal.datagrams;
        self.datagrams_unjournaled = journal.datagrams_missing;
        self.journal_octets = journal.octets;
        self.journal_errors += journal.errors;
    }

    fn counters(&self) -> Vec<Counter> {
        let plain = |name, value| Counter {
            name,
            label: None,
            value,
        };
        let family = |name, label, value| Counter {
            name,
            label: Some(label),
            value,
        };
        vec![
            plain("datagrams_received", self.received_uncounted),
            family("datagrams_discarded", "worker_panic", self.discarded_panic),
            plain("records_queued", self.records_queued),
            plain("records_pending", self.records_pending),
            family("records_dropped", "queue_full", self.dropped_queue_full),
            family("records_dropped", "to_journal", self.dropped_to_journal),
            family("records_dropped", "closed", self.dropped_closed),
            family("records_dropped", "worker_panic", self.dropped_panic),
            plain("batches_queued", self.batches_queued),
            plain("trains_received", self.trains_received),
            plain("receive_errors", self.receive_errors),
            plain("kernel_drops", self.kernel_drops),
            plain("kernel_drops_datagrams", self.kernel_drops_datagrams),
            plain("worker_panics", self.worker_panics),
            plain("datagrams_journaled", self.datagrams_journaled),
            plain("datagrams_unjournaled", self.datagrams_unjournaled),
            plain("journal_octets", self.journal_octets),
            plain("journal_errors", self.journal_errors),
            plain("heartbeats", self.heartbeats),
        ]
    }
}

/// All counters of one worker at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Of all decoders that the worker has had.
    pub(crate) decode: Stats,
    pub(crate) own: WorkerCounters,
}

impl Snapshot {
    /// Every counter, the decoder's first.
    pub(crate) fn counters(&self) -> Counters {
        let mut all = Counters(self.decode.counters());
        self.own
            .counters()
            .into_iter()
            .for_each(|counter| all.add(counter));
        all
    }
}

/// Counters by name and label, in a stable order.
#[derive(Clone, Debug, Default)]
pub struct Counters(Vec<Counter>);

impl Counters {
    /// Adds to the counter of the same name and label.
    pub fn add(&mut self, counter: Counter) {
        let same =
            |known: &&mut Counter| known.name == counter.name && known.label == counter.label;
        match self.0.iter_mut().find(same) {
            Some(known) => known.value += counter.value,
            None => self.0.push(counter),
        }
    }

    /// Takes from the unlabelled counter of this name.
    pub(crate) fn subtract(&mut self, name: &str, value: u64) {
        let wanted = |known: &&mut Counter| known.name == name && known.label.is_none();
        if let Some(known) = self.0.iter_mut().find(wanted) {
            known.value = known.value.saturating_sub(value);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Counter> {
        self.0.iter()
    }

    /// The counter of this name and label, if there is one.
    pub(crate) fn find(&self, name: &str, label: Option<&str>) -> Option<i64> {
        let mut counters = self.0.iter();
        let found = counters.find(|counter| counter.name == name && counter.label == label);
        found.and_then(|counter| i64::try_from(counter.value).ok())
    }

    /// The sum over all labels of a name; 0 if there is none.
    pub fn total(&self, name: &str) -> u64 {
        self.0
            .iter()
            .filter(|counter| counter.name == name)
            .map(|counter| counter.value)
            .sum()
    }

    /// The value of one label of a name; 0 if there is none.
    pub fn labelled(&self, name: &str, label: &str) -> u64 {
        let wanted = |counter: &&Counter| counter.name == name && counter.label == Some(label);
        self.0
            .iter()
            .find(wanted)
            .map_or(0, |counter| counter.value)
    }
}

impl From<Vec<Counter>> for Counters {
    fn from(counters: Vec<Counter>) -> Self {
        Self(counters)
    }
}

/// Where a worker puts its snapshots. Readers hold the locks for no longer than a copy of a few hundred octets takes.
#[derive(Debug, Default)]
pub(crate) struct Board {
    snapshot: Mutex<Snapshot>,
    exporters: Mutex<Arc<[ExporterSummary]>>,
    accounts: Mutex<Arc<[AccountSummary]>>,
    templates: Mutex<Templates>,
    templates_published: Condvar,
    fatal: Mutex<Vec<FatalDatagram>>,
}

/// A list that is longer than the others, and made only for who asks.
#[derive(Debug, Default)]
struct Templates {
    are_wanted: bool,
    list: Arc<[TemplateSummary]>,
}

/// Datagrams kept of those that a decoder panicked on, per worker: the first tell enough.
const MAX_FATAL: usize = 8;

/// A datagram that a decoder panicked on: what a report of the fault needs.
#[derive(Clone, Debug)]
pub struct FatalDatagram {
    /// Source address.
    pub exporter: IpAddr,
    /// Source UDP port.
    pub exporter_port: u16,
    /// UDP port it arrived on.
    pub local_port: u16,
    /// The UDP payload.
    pub payload: Box<[u8]>,
}

impl Board {
    pub(crate) fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn exporters(&self) -> MutexGuard<'_, Arc<[ExporterSummary]>> {
        self.exporters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a datagram that a decoder panicked on, if there are not many.
    pub(crate) fn keep(&self, datagram: &Datagram<'_>) {
        let mut fatal = self.fatal();
        if fatal.len() < MAX_FATAL {
            fatal.push(FatalDatagram {
                exporter: datagram.exporter,
                exporter_port: datagram.exporter_port,
                local_port: datagram.local_port,
                payload: datagram.payload.into(),
            });
        }
    }

    pub(crate) fn fatal(&self) -> MutexGuard<'_, Vec<FatalDatagram>> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the templates if anybody has asked for them.
    pub(crate) fn publish_templates(&self, make: impl FnOnce() -> Vec<TemplateSummary>) {
        let mut templates = self.templates();
        if templates.are_wanted {
            templates.list = make().into();
            templates.are_wanted = false;
            self.templates_published.notify_all();
        }
    }

    /// Asks for the templates.
    pub(crate) fn want_templates(&self) {
        self.templates().are_wanted = true;
    }

    /// The templates as they were asked for, or after `deadline` as they were when last asked for.
    pub(crate) fn templates_by(&self, deadline: Instant) -> Arc<[TemplateSummary]> {
        let mut templates = self.templates();
        while templates.are_wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.templates_published.wait_timeout(templates, left);
            templates = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Arc::clone(&templates.list)
    }

    fn templates(&self) -> MutexGuard<'_, Templates> {
        self.templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Arc<[AccountSummary]>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
