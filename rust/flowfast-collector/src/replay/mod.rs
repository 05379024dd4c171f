//! Datagrams out of capture files, decoded by the same lanes as those from sockets.

mod capture;
mod packet;
mod reader;
mod steered;

pub(crate) use capture::read_packets;
pub(crate) use packet::udp_datagram;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flowfast_decode::{AccountSummary, Counter, DecoderOptions, ExporterSummary};

use crate::consumer::Consumer;
use crate::error::StartError;
use crate::event::Event;
use crate::lane::{Batching, Lane};
use crate::metrics::Counters;
use crate::queue::WhenFull;
use packet::Skip;
pub(crate) use reader::read_datagrams;
use reader::{Dispatch, Input, Progress, Reader};

/// What to read, how to decode, and what to do with the rows.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// pcap and pcapng files, read in this order; `-` is standard input.
    pub paths: Vec<String>,
    /// Only datagrams to these UDP ports; none: all.
    pub ports: Vec<u16>,
    /// How to decode.
    pub decoder: DecoderOptions,
    /// When batches close; rotation is by packet time.
    pub batching: Batching,
    /// 1 decodes in the thread that reads; more decode in threads of their own, each Exporter in one.
    pub workers: usize,
    /// What the first of them is called in batches and in the ledger.
    pub first_worker: usize,
    /// Flushes (each up to one batch a table) that the queue holds. It never drops, it makes the reader wait.
    pub queue_batches: usize,
    /// Where to write the data sets that no template came for, as a capture of their own; None: they are discarded. For one worker. With
    /// it the files before the last only explain that one: of other exporters nothing is learnt from them.
    pub late: Option<PathBuf>,
}

/// Capture files, read by one thread.
pub struct Replay {
    consumer: Consumer,
    progress: Arc<Progress>,
    waiting: Mutex<Option<Waiting>>,
}

/// All that runs once it is started.
struct Waiting {
    inputs: Vec<Input>,
    ports: Vec<u16>,
    lanes: Vec<Lane>,
    /// The last file is what the others are to explain.
    explains: bool,
}

impl Replay {
    /// Opens all files, to know that they are there.
    ///
    /// # Errors
    /// Unknown columns; files that cannot be opened.
    pub fn open(options: &ReplayOptions) -> Result<Self, StartError> {
        let first = options.first_worker;
        let workers = first..first + options.workers.max(1);
        let (consumer, seats) = Consumer::new(workers, options.queue_batches, WhenFull::Block);
        let decoder = DecoderOptions {
            journaled: options.late.is_some(),
            ..options.decoder.clone()
        };
        let lane = |seat| {
            let mut lane = Lane::new(decoder.clone(), options.batching, seat)?;
            lane.late = options.late.clone();
            Ok::<_, StartError>(lane)
        };
        let lanes = seats.into_iter().map(lane).collect::<Result<_, _>>()?;
        let inputs: Vec<Input> = options
            .paths
            .iter()
            .map(|path| open(path))
            .collect::<Result<_, _>>()?;
        let progress = Progress::new(inputs.iter().map(|input| input.octets).sum());
        let waiting = Waiting {
            inputs,
            ports: options.ports.clone(),
            lanes,
            explains: options.late.is_some(),
        };
        Ok(Self {
            consumer,
            progress: Arc::new(progress),
            waiting: Mutex::new(Some(waiting)),
        })
    }

    /// Starts reading. Does nothing if it was called before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(&self) -> Result<(), StartError> {
        let Some(Waiting {
            inputs,
            ports,
            mut lanes,
            explains,
        }) = self.waiting().take()
        else {
            return Ok(());
        };
        let dispatch = match lanes.pop() {
            Some(lane) if lanes.is_empty() => Dispatch::Inline(Box::new(lane)),
            last => {
                lanes.extend(last);
                Dispatch::Steered(steered::spawn(lanes, &self.consumer)?)
            }
        };
        let control = Arc::clone(&self.consumer.control);
        let progress = Arc::clone(&self.progress);
        let mut reader = Reader::new(inputs, ports, dispatch, control, progress);
        self.consumer.spawn("flowfast-reader".to_owned(), move || {
            if explains {
                reader.learn_for_the_last();
            }
            reader.run();
        })
    }

    /// The next event; None after `timeout`, or at once when all is read and nothing is left.
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.consumer.next_event(timeout)
    }

    /// All is read, and every event has been taken.
    pub fn finished(&self) -> bool {
        self.waiting().is_none() && self.consumer.finished()
    }

    /// Reads no more; what was read is decoded, and events go on until [`Self::finished`].
    pub fn stop(&self) {
        self.consumer.control.stop();
        self.waiting().take();
    }

    /// Stops; what the consumer has not taken is dropped and counted. Idempotent.
    pub fn close(&self) {
        self.waiting().take();
        self.consumer.close();
    }

    /// Octets read, and octets in all files as far as that is known.
    pub fn progress(&self) -> (u64, u64) {
        self.progress.octets()
    }

    /// Files that could not be read to their end: the path, and a sentence without its subject, such as "is empty".
    pub fn file_errors(&self) -> Vec<(String, String)> {
        self.progress.file_errors()
    }

    /// Counters of all workers and of the packets read, exact once it is finished.
    pub fn counters(&self) -> Counters {
        let mut counters = self.consumer.counters();
        let packets = self.progress.packets();
        counters.add(Counter {
            name: "packets_read",
            label: None,
            value: packets.read,
        });
        counters.add(Counter {
            name: "packets_learnt",
            label: None,
            value: packets.learnt,
        });
        for reason in Skip::ALL {
            let value = packets.skipped[reason as usize];
            counters.add(Counter {
                name: "packets_skipped",
                label: Some(reason.label()),
                value,
            });
        }
        counters
    }

    /// What each Exporter and Observation Domain sent.
    pub fn exporters(&self) -> Vec<ExporterSummary> {
        self.consumer.exporters(0..usize::MAX)
    }

    /// What became of what each Exporter sent.
    pub fn accounts(&self) -> Vec<AccountSummary> {
        self.consumer.accounts()
    }

    /// Flushes in the queue, and how many fit.
    pub fn queue_depth(&self) -> (usize, usize) {
        self.consumer.queue_depth()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.close();
    }
}

fn open(path: &str) -> Result<Input, StartError> {
    if path == "-" {
        return Ok(Input {
            path: path.to_owned(),
            octets: 0,
            open: None,
        });
    }
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok((metadata, _)) if metadata.is_dir() => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        other => other,
    }
    .map_err(|source| StartError::Open {
        path: path.to_owned(),
        source,
    })?;
    // A regular file is opened again when its turn comes: descriptors are few. A pipe can be opened only once.
    let open = (!metadata.is_file()).then_some(file);
    Ok(Input {
        path: path.to_owned(),
        octets: metadata.len(),
        open,
    })
}
