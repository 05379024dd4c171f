//! Listeners, their workers, and the consumer's view of both.

use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flowfast_decode::{
    AccountSummary, AdmissionOptions, DecoderOptions, ExporterSummary, TemplateSummary,
};

use crate::consumer::{Consumer, Seat};
use crate::error::StartError;
use crate::event::Event;
use crate::journal::{Journal, JournalOptions};
use crate::lane::{Batching, Lane};
use crate::metrics::{Counters, FatalDatagram};
use crate::net::recv::Receiver;
use crate::net::socket::{self, DEFAULT_RCVBUF};
use crate::net::steer::worker_of;
use crate::queue::WhenFull;
use crate::replay::read_datagrams;
use crate::series::{Holders, Room, Series};
use crate::unknown::{Told, UnknownElement};
use crate::worker::{ListenFormat, Worker};

/// Longest wait of a worker for a datagram: how late it can see a stop, the end of an interval, or an old batch.
pub(crate) const MAX_RECEIVE_TIMEOUT: Duration = Duration::from_millis(50);

/// How long a list of templates is waited for: workers publish every 100 ms, those that are not stuck.
const MAX_TEMPLATES_WAIT: Duration = Duration::from_millis(500);

/// One address to listen on.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// Address and UDP port; port 0 takes a free one. `[::]` takes IPv4, too.
    pub address: SocketAddr,
    /// Sockets and workers; an Exporter's datagrams all go to one of them.
    pub workers: usize,
    /// Protocols that it takes.
    pub format: ListenFormat,
}

impl Listen {
    /// As a URI: `udp://[::]:2055`, `netflow://...`, `sflow://...`.
    pub fn uri(&self) -> String {
        let scheme = match self.format {
            ListenFormat::Any => "udp",
            ListenFormat::Netflow => "netflow",
            ListenFormat::Sflow => "sflow",
        };
        format!("{scheme}://{}", self.address)
    }
}

/// Where to listen, how to decode, and what to do with the rows.
#[derive(Clone, Debug)]
pub struct CollectorOptions {
    /// What to bind.
    pub listen: Vec<Listen>,
    /// Sockets that somebody else has bound and handed over. One worker each; those of one address make one listener.
    pub inherited: Vec<Inherited>,
    /// How to decode.
    pub decoder: DecoderOptions,
    /// When batches close.
    pub batching: Batching,
    /// Receive buffer to ask for, octets per socket; 0: 32 MiB.
    pub rcvbuf: usize,
    /// Flushes (each up to one batch a table) that the queue holds.
    pub queue_batches: usize,
    /// What to do with rows that find it full.
    pub when_full: WhenFull,
    /// Write datagrams into a journal before they are decoded.
    pub journal: Option<JournalOptions>,
    /// Captures, segments of a journal among them, to learn templates and options data from before a socket is bound.
    pub state: Vec<PathBuf>,
}

/// A bound UDP socket of this process.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// Its descriptor, which is duplicated and stays the caller's.
    pub descriptor: RawFd,
    /// Protocols that it takes.
    pub format: ListenFormat,
}

/// A listener as it was bound.
#[derive(Clone, Debug)]
pub struct Listener {
    /// With the real port.
    pub listen: Listen,
    /// Index of its first worker; the others follow.
    pub first_worker: usize,
    /// Octets asked for per socket.
    pub rcvbuf_requested: usize,
    /// Octets granted per socket, in the unit of `net.core.rmem_max`.
    pub rcvbuf_granted: usize,
    /// The kernel steers each Exporter to one worker. False for a single worker, which needs no steering.
    pub steering: bool,
}

/// UDP sockets, one worker thread each, decoding into a bounded queue.
pub struct Collector {
    listeners: Vec<Listener>,
    consumer: Consumer,
    state_faults: Vec<(String, String)>,
    recalled_until_ns: Option<i64>,
    holders: Mutex<Holders>,
    told: Mutex<Told>,
    /// Bound, and not yet started.
    waiting: Mutex<Vec<Worker>>,
}

impl Collector {
    /// Binds all sockets. From now on the kernel queues datagrams; they are read from [`Self::start`] on.
    ///
    /// # Errors
    /// Unknown columns; sockets that cannot be bound.
    pub fn bind(options: &CollectorOptions) -> Result<Self, StartError> {
        let inherited = inherit(options)?;
        let groups = groups(options, &inherited);
        let workers = groups.iter().map(|(_, workers)| workers).sum();
        let (consumer, seats) = Consumer::new(0..workers, options.queue_batches, options.when_full);
        let decoder = DecoderOptions {
            journaled: options.journal.is_some(),
            ..options.decoder.clone()
        };
        let lane = |seat: Seat| {
            let mut lane = Lane::new(decoder.clone(), options.batching, seat)?;
            let journal = |journal: &JournalOptions| {
                Journal::new(journal.clone(), lane.worker(), consumer.control.clone())
            };
            lane.journal = options.journal.as_ref().map(journal);
            Ok::<_, StartError>(lane)
        };
        let mut lanes = seats.into_iter().map(lane).collect::<Result<Vec<_>, _>>()?;
        let (state_faults, recalled_until_ns) = learn(&mut lanes, &groups, options);
        let mut bound = bind_all(options)?;
        bound.extend(inherited);

        let mut lanes = lanes.into_iter();
        let mut listeners = Vec::new();
        let mut waiting = Vec::new();
        for (format, bound) in bound {
            let listener = Listener {
                listen: Listen {
                    address: bound.address,
                    workers: bound.sockets.len(),
                    format,
                },
                first_worker: waiting.len(),
                rcvbuf_requested: rcvbuf(options),
                rcvbuf_granted: bound.rcvbuf_granted,
                steering: bound.steering,
            };
            let worker = |(socket, lane)| Worker {
                receiver: Receiver::new(socket),
                lane,
                format,
                local_port: listener.listen.address.port(),
                // The kernel grants as much again for its bookkeeping, of which large datagrams take little.
                kernel_queue_octets: 2 * listener.rcvbuf_granted,
                control: consumer.control.clone(),
                kernel_drops: 0,
            };
            waiting.extend(bound.sockets.into_iter().zip(&mut lanes).map(worker));
            listeners.push(listener);
        }
        Ok(Self {
            listeners,
            consumer,
            state_faults,
            recalled_until_ns,
            holders: Mutex::default(),
            told: Mutex::default(),
            waiting: Mutex::new(waiting),
        })
    }

    /// The listeners, in the order they were given.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Files of [`CollectorOptions::state`] that could not be read to their end: the path, and a sentence without its subject.
    pub fn state_faults(&self) -> &[(String, String)] {
        &self.state_faults
    }

    /// Writes nothing into the journal, or does again: for when the disk is short.
    pub fn pause_journal(&self, paused: bool) {
        self.consumer.control.pause_journal(paused);
    }

    /// Starts one thread a worker. Does nothing if it was called before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(&self) -> Result<(), StartError> {
        for worker in self.take_waiting() {
            let name = format!("flowfast-{}", worker.lane.worker());
            self.consumer.spawn(name, || worker.run())?;
        }
        Ok(())
    }

    /// The next event; None after `timeout`, or at once when all workers have stopped and nothing is left.
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.consumer.next_event(timeout)
    }

    /// Asks the workers to read what the kernel holds, flush and stop. Events go on until [`Self::finished`].
    pub fn stop(&self) {
        self.consumer.control.stop();
        self.take_waiting();
    }

    /// Ends the interval of every worker now, with an event as at its regular end; later ones last `rotate_s` seconds (0: for ever), or
    /// as long as before. No row is lost or doubled by it.
    pub fn rotate(&self, rotate_s: Option<u32>) {
        self.consumer.control.rotate(rotate_s);
    }

    /// Whom to hear, and how much of each, from now on.
    pub fn set_admission(&self, admission: AdmissionOptions) {
        self.consumer.control.set_admission(admission);
    }

    /// When the last datagram was received of those that [`CollectorOptions::state`] holds, nanoseconds since the UNIX epoch.
    pub fn recalled_until_ns(&self) -> Option<i64> {
        self.recalled_until_ns
    }

    /// What to do from now on with rows that find the queue full.
    pub fn set_when_full(&self, when_full: WhenFull) {
        self.consumer.control.set_when_full(when_full);
    }

    /// All workers have stopped, and every event has been taken.
    pub fn finished(&self) -> bool {
        lock(&self.waiting).is_empty() && self.consumer.finished()
    }

    /// Stops without a consumer: what it has not taken is dropped and counted. Idempotent.
    pub fn close(&self) {
        self.take_waiting();
        self.consumer.close();
    }

    /// Counters of all workers, exact once they have stopped.
    pub fn counters(&self) -> Counters {
        self.consumer.counters()
    }

    /// Counters of one worker; empty if there is no such worker.
    pub fn worker_counters(&self, worker: usize) -> Counters {
        self.consumer.worker_counters(worker)
    }

    /// What each Exporter and Observation Domain sent: those at these places of the list, which is ordered by address.
    pub fn exporters(&self, places: Range<usize>) -> Vec<ExporterSummary> {
        self.consumer.exporters(places)
    }

    /// What a metrics page says of them, as far as there is room. Who has had series keeps them.
    pub fn series(&self, room: Room) -> Series {
        let lists = self.consumer.exporter_lists();
        let known = lists.iter().flat_map(|list| list.iter());
        lock(&self.holders).series(known, room)
    }

    /// Elements in no registry that this has not told before, `limit` at most.
    pub fn news_of_unknown_elements(&self, limit: usize) -> Vec<UnknownElement> {
        let lists = self.consumer.exporter_lists();
        let known = lists.iter().flat_map(|list| list.iter());
        lock(&self.told).news(known, limit)
    }

    /// How many [`Self::exporters`] tells of, without making the list.
    pub fn exporter_count(&self) -> usize {
        self.consumer.exporter_count()
    }

    /// Templates that the workers know, as of now; of a worker that does not answer for half a second, as of when it last did. Those at
    /// these places of the list, which is ordered by address.
    pub fn templates(&self, places: Range<usize>) -> Vec<TemplateSummary> {
        self.consumer.templates(MAX_TEMPLATES_WAIT, places)
    }

    /// Datagrams that decoders panicked on, a few of each worker.
    pub fn fatal_datagrams(&self) -> Vec<FatalDatagram> {
        self.consumer.fatal_datagrams()
    }

    /// What became of what each Exporter sent.
    pub fn accounts(&self) -> Vec<AccountSummary> {
        self.consumer.accounts()
    }

    /// Flushes in the queue, and how many fit.
    pub fn queue_depth(&self) -> (usize, usize) {
        self.consumer.queue_depth()
    }

    fn take_waiting(&self) -> Vec<Worker> {
        std::mem::take(&mut *lock(&self.waiting))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.close();
    }
}

/// A listener's sockets, and the protocols it takes.
type Opened = (ListenFormat, socket::BoundSockets);

/// Port and workers of each listener: those to bind, then those inherited.
fn groups(options: &CollectorOptions, inherited: &[Opened]) -> Vec<(u16, usize)> {
    let to_bind = options
        .listen
        .iter()
        .map(|listen| (listen.address.port(), listen.workers.max(1)));
    let given = inherited
        .iter()
        .map(|(_, bound)| (bound.address.port(), bound.sockets.len()));
    to_bind.chain(given).collect()
}

/// Teaches each lane what the files say of its Exporters. What was wrong with the files, and when the last datagram was received.
fn learn(
    lanes: &mut [Lane],
    groups: &[(u16, usize)],
    options: &CollectorOptions,
) -> (Vec<(String, String)>, Option<i64>) {
    let mut until_ns = None;
    let mut faults = Vec::new();
    for path in &options.state {
        let read = read_datagrams(path, |datagram, teaches| {
            until_ns = until_ns.max(Some(datagram.received_ns));
            let is_ours = |port: u16| port == datagram.local_port;
            let any_is_ours = groups.iter().any(|&(port, _)| is_ours(port));
            let mut first = 0;
            for &(port, workers) in groups {
                // A port that nobody listens on any more may have been replaced by any other.
                if !any_is_ours || is_ours(port) {
                    let lane = &mut lanes[first + worker_of(datagram.exporter, workers)];
                    if teaches {
                        lane.learn(datagram);
                    } else {
                        lane.recall(datagram);
                    }
                }
                first += workers;
            }
        });
        if let Err(fault) = read {
            faults.push((path.display().to_string(), fault.to_string()));
        }
    }
    lanes.iter_mut().for_each(Lane::resume);
    (faults, until_ns)
}

/// The sockets to bind.
fn bind_all(options: &CollectorOptions) -> Result<Vec<Opened>, StartError> {
    let (rcvbuf, timeout) = (rcvbuf(options), receive_timeout(options));
    let bind = |listen: &Listen| {
        socket::bind(listen.address, listen.workers.max(1), rcvbuf, timeout)
            .map(|bound| (listen.format, bound))
            .map_err(|source| StartError::Bind {
                uri: listen.uri(),
                source,
            })
    };
    options.listen.iter().map(bind).collect()
}

/// The sockets inherited, by address.
fn inherit(options: &CollectorOptions) -> Result<Vec<Opened>, StartError> {
    let (rcvbuf, timeout) = (rcvbuf(options), receive_timeout(options));
    let mut all: Vec<Opened> = Vec::new();
    for &Inherited { descriptor, format } in &options.inherited {
        let (address, socket) =
            socket::adopt(descriptor, rcvbuf, timeout).map_err(|source| StartError::Bind {
                uri: format!("descriptor {descriptor}"),
                source,
            })?;
        let same = |(known, bound): &&mut Opened| *known == format && bound.address == address;
        match all.iter_mut().find(same) {
            Some((_, bound)) => bound.join(socket),
            None => all.push((format, socket::BoundSockets::one(address, socket))),
        }
    }
    Ok(all)
}

/// Receive buffer to ask for.
fn rcvbuf(options: &CollectorOptions) -> usize {
    match options.rcvbuf {
        0 => DEFAULT_RCVBUF,
        octets => octets,
    }
}

/// Short enough to close batches about in time.
fn receive_timeout(options: &CollectorOptions) -> Duration {
    let age_ns = options
        .batching
        .age_ns
        .and_then(|age_ns| u64::try_from(age_ns).ok());
    age_ns.map_or(MAX_RECEIVE_TIMEOUT, |age_ns| {
        (Duration::from_nanos(age_ns) / 4).clamp(Duration::from_millis(1), MAX_RECEIVE_TIMEOUT)
    })
}
