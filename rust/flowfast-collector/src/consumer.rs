//! The consumer's side of the workers: events, counters, and the end.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flowfast_decode::{AccountSummary, Counter, ExporterSummary, TableKind, TemplateSummary};

use crate::error::StartError;
use crate::event::Event;
use crate::metrics::{Board, Counters, FatalDatagram};
use crate::queue::{Control, Outbox, Queue, WhenFull};

/// What a consumer holds of its workers.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) control: Arc<Control>,
    queue: Arc<Queue>,
    boards: Vec<Arc<Board>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    threads_lost: Arc<AtomicU64>,
    /// Rows that were in the queue when the consumer left.
    records_abandoned: AtomicU64,
}

/// What a worker holds of its consumer.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) outbox: Outbox,
    pub(crate) board: Arc<Board>,
}

impl Consumer {
    /// A consumer with a queue of so many flushes, and the seats of workers of these names.
    pub(crate) fn new(
        workers: Range<usize>,
        flushes: usize,
        when_full: WhenFull,
    ) -> (Self, Vec<Seat>) {
        let queue = Arc::new(Queue::new(flushes));
        let control = Arc::new(Control::new(when_full));
        let boards: Vec<_> = workers.clone().map(|_| Arc::<Board>::default()).collect();
        let seat = |(worker, board): (usize, &Arc<Board>)| Seat {
            outbox: Outbox::new(worker, Arc::clone(&queue), Arc::clone(&control)),
            board: Arc::clone(board),
        };
        let seats = workers.zip(&boards).map(seat).collect();
        let consumer = Self {
            control,
            queue,
            boards,
            threads: Mutex::default(),
            threads_lost: Arc::default(),
            records_abandoned: AtomicU64::new(0),
        };
        (consumer, seats)
    }

    /// Runs `work` in a thread of its own until it returns.
    pub(crate) fn spawn(
        &self,
        name: String,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let threads_lost = Arc::clone(&self.threads_lost);
        let guarded = move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                threads_lost.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(guarded)
            .map_err(|source| StartError::Thread { source })?;
        self.threads().push(thread);
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event; None after `timeout`, or at once when all workers have stopped and nothing is left.
    pub(crate) fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.queue.next(timeout)
    }

    /// All workers have stopped, and the consumer has had every event.
    pub(crate) fn finished(&self) -> bool {
        self.threads().iter().all(JoinHandle::is_finished) && self.queue.is_empty()
    }

    /// Stops the workers without taking what they still have: it is dropped and counted.
    pub(crate) fn close(&self) {
        self.control.abandon();
        let mut threads = self.threads();
        // A worker may be waiting for room in the queue.
        while !threads.iter().all(JoinHandle::is_finished) {
            self.abandon_queue();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.abandon_queue();
        for thread in threads.drain(..) {
            let _ = thread.join(); // a panic has been counted in `spawn`
        }
    }

    fn abandon_queue(&self) {
        while let Some(event) = self.queue.next(Duration::ZERO) {
            if let Event::Batch(batch) = event
                && batch.rows.kind != TableKind::Ledger
            {
                self.records_abandoned
                    .fetch_add(batch.rows.batch.num_rows() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Counters of all workers. While they run: as of a moment ago, each worker its own; exact once they have stopped.
    pub(crate) fn counters(&self) -> Counters {
        let mut all = Counters::default();
        for worker in 0..self.boards.len() {
            self.worker_counters(worker)
                .iter()
                .for_each(|counter| all.add(*counter));
        }
        let abandoned = self.records_abandoned.load(Ordering::Relaxed);
        all.subtract("records_queued", abandoned);
        all.add(Counter {
            name: "records_dropped",
            label: Some("closed"),
            value: abandoned,
        });
        let lost = self.threads_lost.load(Ordering::Relaxed);
        all.add(Counter {
            name: "worker_panics",
            label: None,
            value: lost,
        });
        all
    }

    /// Counters of one worker; empty if there is no such worker.
    pub(crate) fn worker_counters(&self, worker: usize) -> Counters {
        let snapshot = self
            .boards
            .get(worker)
            .map(|board| board.snapshot().clone());
        snapshot.unwrap_or_default().counters()
    }

    /// What each Exporter and Observation Domain sent, as of a second ago, or one for each 10,000 that a worker knows; exact once the
    /// workers have stopped. In an order that stays, those at these places.
    pub(crate) fn exporters(&self, places: Range<usize>) -> Vec<ExporterSummary> {
        let order = |each: &ExporterSummary| (each.exporter, each.domain, each.format);
        page(&self.exporter_lists(), places, order)
    }

    /// The same of each worker, as it published them.
    pub(crate) fn exporter_lists(&self) -> Vec<Arc<[ExporterSummary]>> {
        let published = |board: &Arc<Board>| Arc::clone(&board.exporters());
        self.boards.iter().map(published).collect()
    }

    /// How many [`Self::exporters`] tells of, without making the list.
    pub(crate) fn exporter_count(&self) -> usize {
        self.boards
            .iter()
            .map(|board| board.exporters().len())
            .sum()
    }

    /// Templates that the workers know, as of now; of one that does not answer within `timeout`, as of when it last did. In an order that
    /// stays, those at these places.
    pub(crate) fn templates(
        &self,
        timeout: Duration,
        places: Range<usize>,
    ) -> Vec<TemplateSummary> {
        let deadline = Instant::now() + timeout;
        self.boards.iter().for_each(|board| board.want_templates());
        let boards = self.boards.iter();
        let lists: Vec<_> = boards.map(|board| board.templates_by(deadline)).collect();
        page(&lists, places, |each| {
            let session = (each.exporter, each.local_port, each.exporter_port);
            (session, each.domain, each.template_id)
        })
    }

    /// Datagrams that decoders panicked on, a few of each worker.
    pub(crate) fn fatal_datagrams(&self) -> Vec<FatalDatagram> {
        self.boards
            .iter()
            .flat_map(|board| board.fatal().clone())
            .collect()
    }

    /// What became of what each Exporter sent, as of a second ago; exact once the workers have stopped.
    pub(crate) fn accounts(&self) -> Vec<AccountSummary> {
        let published = |board: &Arc<Board>| Arc::clone(&board.accounts());
        let lists: Vec<_> = self.boards.iter().map(published).collect();
        lists.iter().flat_map(|list| list.iter().cloned()).collect()
    }

    /// Flushes in the queue, and how many fit.
    pub(crate) fn queue_depth(&self) -> (usize, usize) {
        (self.queue.depth(), self.queue.capacity())
    }
}

/// What stands at these places of all lists together, in order.
fn page<T: Clone, K: Ord>(
    lists: &[Arc<[T]>],
    places: Range<usize>,
    order: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut all: Vec<&T> = lists.iter().flat_map(|list| list.iter()).collect();
    all.sort_unstable_by_key(|each| order(each));
    let page = all.into_iter().skip(places.start).take(places.len());
    page.cloned().collect()
}
