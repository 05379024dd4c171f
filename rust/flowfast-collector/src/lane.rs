//! One worker's lane from datagram to queue: a decoder, the open rotation interval, and the limits that close a batch.
//!
//! Sockets and capture files feed the same lane; it has no clock and no input of its own.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use flowfast_decode::{
    Datagram, DecodeError, Decoder, DecoderOptions, OptionsError, RecordLoss, SetLoss, Stats,
    TableBatch,
};

use crate::consumer::Seat;
use crate::journal::{Journal, write_messages};
use crate::metrics::{Board, Snapshot, WorkerCounters};
use crate::queue::{Outbox, Sent};

const NS_PER_S: i64 = 1_000_000_000;

/// The ledger has rows for each minute.
const LEDGER_S: u32 = 60;

/// A batch closes at about so many octets, however few rows they are.
const MAX_BATCH_OCTETS: usize = 64 << 20;

/// A batch is measured after so much more payload.
const MEASURE_EVERY_OCTETS: usize = 1 << 20;

/// How often counters are published at most.
const PUBLISH_EVERY_NS: i64 = 100_000_000;

/// How often the list of Exporters is published at most, for each so many: it is longer than the counters, and in a flood very long.
const PUBLISH_EXPORTERS_EVERY_NS: i64 = NS_PER_S;
const EXPORTERS_PUBLISHED_TOGETHER: usize = 10_000;

/// Rows of a batch, unless told otherwise: columns so long stay in a second-level cache (docs/decisions/0013-kernels.md).
pub const BATCH_ROWS: usize = 16_384;

/// When a batch closes.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Rotation in seconds: batches never span a multiple of it since the epoch; 0: no rotation.
    pub rotate_s: u32,
    /// A batch closes at about so many rows.
    pub rows: usize,
    /// A batch closes when its oldest row has waited so many nanoseconds; None: never.
    pub age_ns: Option<i64>,
    /// Whether what became of datagrams and records is told every minute, as rows of the table `ledger`.
    pub ledger: bool,
}

/// One worker's decoder, interval and batch.
pub(crate) struct Lane {
    options: DecoderOptions,
    batching: Batching,
    decoder: Decoder,
    /// Datagrams that the present decoder was given, and rows that it has handed over.
    given: u64,
    handed: u64,
    /// Payload since its batch was last measured.
    octets_unmeasured: usize,
    /// Counters of the decoders before it.
    past: Stats,
    interval: Option<Interval>,
    pub(crate) journal: Option<Journal>,
    /// Where sets go that no template came for, when the input has ended.
    pub(crate) late: Option<PathBuf>,
    /// Rows of the interval that the queue had no room for, or a panic took, and that the journal may give again.
    rows_missing: u64,
    /// When the kernel's drops were last counted.
    received: Received,
    /// Rotations and changes of admission asked for by the consumer that were done.
    rotations: u32,
    admissions: u32,
    minute: Option<Interval>,
    /// The first minute that the ledger has not told of, if it is over: its rows found no room in the queue, and go with the next.
    untold: Option<Interval>,
    /// When the oldest pending row was received.
    oldest_ns: Option<i64>,
    pub(crate) own: WorkerCounters,
    outbox: Outbox,
    board: Arc<Board>,
    published_ns: i64,
    exporters_published_ns: i64,
}

/// What has come so far.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    trains: u64,
    datagrams: u64,
}

/// A rotation interval: [from, until).
#[derive(Clone, Copy, Debug)]
struct Interval {
    start_s: i64,
    from_ns: i64,
    until_ns: i64,
}

impl Interval {
    fn of(time_ns: i64, rotate_s: u32) -> Self {
        if rotate_s == 0 {
            return Self {
                start_s: 0,
                from_ns: i64::MIN,
                until_ns: i64::MAX,
            };
        }
        let length_s = i64::from(rotate_s);
        let start_s = time_ns.div_euclid(NS_PER_S).div_euclid(length_s) * length_s;
        Self {
            start_s,
            from_ns: start_s.saturating_mul(NS_PER_S),
            until_ns: (start_s + length_s).saturating_mul(NS_PER_S),
        }
    }

    fn contains(&self, time_ns: i64) -> bool {
        (self.from_ns..self.until_ns).contains(&time_ns)
    }
}

impl Lane {
    pub(crate) fn new(
        options: DecoderOptions,
        batching: Batching,
        seat: Seat,
    ) -> Result<Self, OptionsError> {
        Ok(Self {
            decoder: Decoder::new(&options)?,
            options,
            batching,
            given: 0,
            handed: 0,
            octets_unmeasured: 0,
            past: Stats::default(),
            interval: None,
            journal: None,
            late: None,
            rows_missing: 0,
            received: Received::default(),
            rotations: 0,
            admissions: 0,
            minute: None,
            untold: None,
            oldest_ns: None,
            own: WorkerCounters::default(),
            outbox: seat.outbox,
            board: seat.board,
            published_ns: i64::MIN,
            exporters_published_ns: i64::MIN,
        })
    }

    pub(crate) fn worker(&self) -> usize {
        self.outbox.worker()
    }

    /// The time is now this: closes the minute, the interval and the batch that it ends. Call before the datagrams of that time.
    pub(crate) fn advance(&mut self, now_ns: i64) {
        self.rotate_if_told();
        self.admit_as_told();
        let is_in = |interval: Option<Interval>| interval.is_some_and(|each| each.contains(now_ns));
        let interval_goes_on = is_in(self.interval);
        if !interval_goes_on || self.batch_is_old(now_ns) {
            self.flush();
        }
        let ledger_is_due = !is_in(self.minute);
        if ledger_is_due {
            self.end_minute();
            self.minute = Some(Interval::of(now_ns, LEDGER_S));
        }
        if !interval_goes_on {
            self.end_interval();
            self.interval = Some(Interval::of(now_ns, self.batching.rotate_s));
        } else if ledger_is_due {
            self.tell_ledger();
        }
    }

    fn batch_is_old(&self, now_ns: i64) -> bool {
        let ages = self.oldest_ns.zip(self.batching.age_ns);
        ages.is_some_and(|(oldest_ns, age_ns)| has_passed(oldest_ns, now_ns, age_ns))
    }

    fn end_minute(&mut self) {
        if self.batching.ledger {
            self.untold = self.untold.or(self.minute);
        }
    }

    /// Puts what the ledger has not told yet into the queue, if there is room; else it stays where it is.
    fn tell_ledger(&mut self) {
        let Some((minute, interval)) = self.untold.zip(self.interval) else {
            return;
        };
        let worker = self.outbox.worker();
        let sent = match self.decoder.ledger().rows(minute.from_ns, worker) {
            Some(rows) => self.outbox.rows(interval.start_s, vec![rows]),
            None => Sent::Queued,
        };
        if sent == Sent::Queued {
            self.decoder.ledger_mut().written();
            self.untold = None;
        }
    }

    /// What comes next was sent to this address.
    pub(crate) fn sent_to(&mut self, local_address: Option<IpAddr>) {
        self.decoder.sent_to(local_address);
    }

    /// Counts a datagram that is not to be decoded, and why.
    pub(crate) fn discard(&mut self, datagram: &Datagram<'_>, why: DecodeError) {
        self.given += 1;
        self.decoder.discard(datagram, why);
    }

    /// Counts datagrams that were cut by the receive buffer.
    pub(crate) fn discard_truncated(&mut self, datagrams: u64, octets: u64) {
        self.given += datagrams;
        self.decoder.discard_truncated(datagrams, octets);
    }

    /// Counts receptions that the kernel dropped since it was last called. The kernel does not say how many datagrams were in them: each is
    /// taken for as many as those had that came meanwhile.
    pub(crate) fn kernel_dropped(&mut self, drops: u64) {
        let before = self.received;
        self.received = Received {
            trains: self.own.trains_received,
            datagrams: self.past.datagrams_received
                + self.decoder.stats().datagrams_received
                + self.own.received_uncounted,
        };
        let trains = self.received.trains - before.trains;
        let came = self.received.datagrams - before.datagrams;
        let datagrams = drops
            .saturating_mul(came)
            .checked_div(trains)
            .unwrap_or(drops)
            .max(drops);
        self.own.kernel_drops += drops;
        self.own.kernel_drops_datagrams += datagrams;
        self.decoder.ledger_mut().kernel_dropped(drops, datagrams);
    }

    /// Ends the interval if the consumer has asked for it; the next [`Self::advance`] begins one of the length that then holds.
    fn rotate_if_told(&mut self) {
        let rotations = self.outbox.control().rotations();
        if rotations == self.rotations {
            return;
        }
        self.rotations = rotations;
        self.flush();
        self.end_interval();
        if let Some(rotate_s) = self.outbox.control().rotate_s() {
            self.batching.rotate_s = rotate_s;
        }
    }

    /// Takes over whom the consumer wants to be heard from now on.
    fn admit_as_told(&mut self) {
        let admissions = self.outbox.control().admissions();
        if admissions != self.admissions {
            self.admissions = admissions;
            self.options.admission = self.outbox.control().admission();
            self.decoder.admit_as(self.options.admission.clone());
        }
    }

    /// As [`Decoder::expect`].
    pub(crate) fn expect(&mut self, datagram: &Datagram<'_>) {
        // A panic is counted when the datagram is decoded.
        let _ = catch_unwind(AssertUnwindSafe(|| self.decoder.expect(datagram)));
    }

    /// Decodes one datagram. Its time must have been given to [`Self::advance`].
    pub(crate) fn datagram(&mut self, datagram: &Datagram<'_>) {
        self.given += 1;
        // Before the journal: it is decoded again, where nobody is refused.
        if self.decoder.refuses(datagram) {
            return;
        }
        self.journal(datagram);
        self.octets_unmeasured += datagram.payload.len();
        // A panic is our bug, not the datagram's fault: it costs this worker's state, not the process.
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert_ne!(datagram.payload, tests::PANIC, "a decoder that panics");
            // A fault is counted by the decoder, and nobody else's business.
            let _ = self.decoder.decode(datagram);
        }));
        if decoded.is_err() {
            self.board.keep(datagram);
            self.replace_decoder();
        }
    }

    /// Learns from a message of a journal that only teaches: no row comes of it, and nothing is counted.
    pub(crate) fn learn(&mut self, datagram: &Datagram<'_>) {
        self.take_in(Decoder::learn, datagram);
    }

    /// Learns from a datagram that an earlier process has received: no row comes of it, and nothing is counted.
    pub(crate) fn recall(&mut self, datagram: &Datagram<'_>) {
        self.take_in(Decoder::recall, datagram);
    }

    /// As [`Decoder::resume`].
    pub(crate) fn resume(&mut self) {
        self.decoder.resume();
    }

    fn take_in(&mut self, how: fn(&mut Decoder, &Datagram<'_>), datagram: &Datagram<'_>) {
        if catch_unwind(AssertUnwindSafe(|| how(&mut self.decoder, datagram))).is_err() {
            self.replace_decoder();
        }
    }

    /// Before it is decoded, a datagram goes into the journal.
    fn journal(&mut self, datagram: &Datagram<'_>) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        if journal.wants_segment(datagram.received_ns)
            && let Some(interval) = self.interval
        {
            let state = self.decoder.state();
            journal.begin(interval.start_s, &state);
        }
        journal.append(datagram);
    }

    /// Nothing more has come for now.
    pub(crate) fn idle(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.write();
        }
    }

    /// Closes the batch if it is full. Call after the datagrams of one reception.
    pub(crate) fn settle(&mut self, now_ns: i64) {
        if let Some(journal) = &mut self.journal {
            journal.write_if_due(now_ns);
        }
        let rows = self.records_pending();
        if rows == 0 {
            return;
        }
        self.oldest_ns.get_or_insert(now_ns);
        if rows >= self.batching.rows as u64 || self.is_large() {
            self.flush();
        }
    }

    /// Rows of the present decoder that it has not handed over: cheaper than to ask every table.
    fn records_pending(&self) -> u64 {
        self.decoder
            .stats()
            .records_decoded
            .saturating_sub(self.handed)
    }

    /// Whether the batch takes too many octets. To measure it costs time, and it grows with the payload only.
    fn is_large(&mut self) -> bool {
        if self.octets_unmeasured < MEASURE_EVERY_OCTETS {
            return false;
        }
        self.octets_unmeasured = 0;
        self.decoder.pending_bytes() >= MAX_BATCH_OCTETS
    }

    /// Decodes a datagram that comes with a time of its own, out of a capture.
    pub(crate) fn datagram_at_its_time(&mut self, datagram: &Datagram<'_>) {
        self.advance(datagram.received_ns);
        self.datagram(datagram);
        self.settle(datagram.received_ns);
    }

    /// The input has ended: sends what is left, and publishes the last counters.
    pub(crate) fn finish(&mut self) {
        self.hand_over(Decoder::finish);
        self.end_interval();
        if let Some(late) = self.late.take()
            && write_messages(&late, &self.decoder.take_late(), false).is_err()
        {
            self.own.journal_errors += 1;
        }
        *self.board.snapshot() = self.snapshot();
        self.board.publish_templates(|| self.decoder.templates());
        self.publish_exporters();
    }

    /// Whether counters were last published long enough ago.
    pub(crate) fn publishing_is_due(&self, now_ns: i64) -> bool {
        has_passed(self.published_ns, now_ns, PUBLISH_EVERY_NS)
    }

    /// Publishes the counters, and tries again what waits for room in the queue.
    pub(crate) fn publish(&mut self, now_ns: i64) {
        self.outbox.send_waiting_ends();
        self.own.heartbeats += 1;
        self.tell_ledger();
        self.published_ns = now_ns;
        *self.board.snapshot() = self.snapshot();
        self.board.publish_templates(|| self.decoder.templates());
        let exporters = self.decoder.exporter_count();
        let parts = exporters.div_ceil(EXPORTERS_PUBLISHED_TOGETHER).max(1) as i64;
        let pause_ns = parts * PUBLISH_EXPORTERS_EVERY_NS;
        if has_passed(self.exporters_published_ns, now_ns, pause_ns) {
            self.exporters_published_ns = now_ns;
            self.publish_exporters();
            if self.records_pending() == 0 {
                self.flush(); // gives up on what has waited too long for a Template
            }
        }
    }

    fn publish_exporters(&self) {
        *self.board.exporters() = self.decoder.exporters().into();
        *self.board.accounts() = self.decoder.ledger().accounts().into();
    }

    /// Publishes the counters if that is due.
    pub(crate) fn publish_if_due(&mut self, now_ns: i64) {
        if self.publishing_is_due(now_ns) {
            self.publish(now_ns);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut decode = self.past.clone();
        decode.merge(self.decoder.stats());
        let mut own = self.own;
        own.records_pending = self.records_pending() + self.rows_missing;
        if let Some(journal) = &self.journal {
            own.journal(&journal.counters);
        }
        Snapshot { decode, own }
    }

    fn end_interval(&mut self) {
        let Some(interval) = self.interval else {
            return;
        };
        if self.journal.is_some() {
            // What waits is part of this interval, and of no other's segment.
            self.decoder.give_up_waiting();
            self.flush();
        }
        let rows_missing = std::mem::take(&mut self.rows_missing);
        let segment = self.journal.as_mut().and_then(|journal| {
            let late = self.decoder.take_late();
            let segment = journal.end(&late, self.decoder.stats().templates_new)?;
            journal.save_state(&self.decoder.state());
            Some(segment)
        });
        let is_in_journal = segment.as_ref().is_some_and(|segment| segment.is_whole);
        self.own.missing(rows_missing, is_in_journal);
        self.decoder.ledger_mut().end_interval(is_in_journal);
        // What the journal's segment has, and nothing else, is told with its rows: whoever decodes it again can tell the same.
        self.end_minute();
        self.tell_ledger();
        self.interval = None;
        if self.batching.rotate_s != 0 {
            self.outbox.end(interval.start_s, rows_missing, segment);
        }
    }

    fn flush(&mut self) {
        self.hand_over(Decoder::flush);
    }

    /// Sends what the decoder gives.
    fn hand_over(&mut self, give: fn(&mut Decoder) -> Vec<TableBatch>) {
        self.oldest_ns = None;
        let Ok(tables) = catch_unwind(AssertUnwindSafe(|| give(&mut self.decoder))) else {
            self.replace_decoder();
            return;
        };
        if tables.is_empty() {
            return;
        }
        let batches = tables.len() as u64;
        let records = tables
            .iter()
            .map(|table| table.batch.num_rows() as u64)
            .sum();
        self.handed += records;
        let start_s = self.interval.map_or(0, |interval| interval.start_s);
        let outcome = self.outbox.rows(start_s, tables);
        if outcome == Sent::QueueFull {
            self.rows_missing += records;
        } else {
            self.own.sent(outcome, batches, records);
        }
        self.decoder.ledger_mut().hand_over(match outcome {
            Sent::Queued => Ok(()),
            Sent::QueueFull => Err(RecordLoss::QueueFull),
            Sent::Closed => Err(RecordLoss::Closed),
        });
    }

    /// A panic has left the decoder in an unknown state. Its counters stand, what they leave open is counted as lost to the panic.
    fn replace_decoder(&mut self) {
        self.own.worker_panics += 1;
        let mut stats = self.decoder.stats().clone();
        let settled = stats.datagrams_decoded + stats.datagrams_discarded.iter().sum::<u64>();
        self.own.received_uncounted += self.given.saturating_sub(stats.datagrams_received);
        self.own.discarded_panic += self.given.saturating_sub(settled);
        let pending = stats.records_decoded.saturating_sub(self.handed);
        // The journal gives them again, with the rest of the interval.
        let loss = if self.journal.is_some() {
            self.rows_missing += pending;
            RecordLoss::QueueFull
        } else {
            self.own.dropped_panic += pending;
            RecordLoss::WorkerPanic
        };
        let no_template = SetLoss::NoTemplate as usize;
        stats.sets_discarded[no_template] += std::mem::take(&mut stats.sets_waiting);
        stats.set_octets_discarded[no_template] += std::mem::take(&mut stats.set_octets_waiting);
        self.past.merge(&stats);
        (self.given, self.handed, self.oldest_ns) = (0, 0, None);
        // The same options have made a decoder before.
        let Ok(decoder) = Decoder::new(&self.options) else {
            return;
        };
        let mut ledger = std::mem::replace(&mut self.decoder, decoder).into_ledger();
        let counters = self.snapshot().counters();
        ledger.close_after_panic(loss, |name, label| {
            // What becomes of rows that are missing, the end of the interval tells.
            let is_open = name == "records_pending"
                || (name, label) == ("records_dropped", Some(RecordLoss::QueueFull.label()));
            counters.find(name, label).filter(|_| !is_open)
        });
        self.decoder.go_on_with(ledger);
    }
}

/// Whether so much time has passed; also true if the clock was set back.
fn has_passed(since_ns: i64, now_ns: i64, duration_ns: i64) -> bool {
    now_ns < since_ns || now_ns.saturating_sub(since_ns) >= duration_ns
}

#[cfg(test)]
mod tests;
