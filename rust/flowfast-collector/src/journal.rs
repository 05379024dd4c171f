//! The journal: raw datagrams in pcap segments, one a worker and rotation interval, written before they are decoded.
//!
//! A segment begins with the templates and options data in effect, as packets to an address that no exporter can send to, so that it
//! can be decoded alone. Who consumes the rows deletes the segment when they are durable; what is left is decoded again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowfast_decode::{Datagram, Decoder, DecoderOptions, KeptMessage, TemplateSummary};

use crate::error::StartError;
use crate::event::Segment;
use crate::queue::Control;
use crate::replay::read_datagrams;

/// Octets that are written together.
const BUFFER_OCTETS: usize = 256 << 10;

/// What was received is handed to the system after so long at the latest.
const WRITE_EVERY_NS: i64 = 100_000_000;

/// After a failure the journal is tried again so much later.
const PAUSE_NS: i64 = 1_000_000_000;

/// Where packets go that only teach: the dummy address of RFC 7600, and one of the discard prefix of RFC 6666.
const TEACHES_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
const TEACHES_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);

/// Where segments are written.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// A directory that exists.
    pub directory: PathBuf,
    /// What names of files have in common that are written by this process and by no other.
    pub run: String,
}

/// What became of datagrams on their way into the journal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JournalCounters {
    pub(crate) datagrams: u64,
    pub(crate) datagrams_missing: u64,
    pub(crate) octets: u64,
    pub(crate) errors: u64,
}

/// One worker's journal.
#[derive(Debug)]
pub(crate) struct Journal {
    options: JournalOptions,
    worker: usize,
    control: Arc<Control>,
    segments: u64,
    segment: Option<OpenSegment>,
    /// The interval has datagrams that its segment lacks.
    has_gap: bool,
    /// Definitions of templates when the last interval ended.
    templates_new: u64,
    /// When the last datagram was received.
    now_ns: i64,
    paused_until_ns: i64,
    pub(crate) counters: JournalCounters,
}

#[derive(Debug)]
struct OpenSegment {
    file: File,
    name: String,
    /// Octets in the file that are whole packets.
    octets: u64,
    buffer: Vec<u8>,
    buffered_datagrams: u64,
    /// When the first datagram in the buffer was received.
    buffered_ns: i64,
}

impl Journal {
    pub(crate) fn new(options: JournalOptions, worker: usize, control: Arc<Control>) -> Self {
        Self {
            options,
            worker,
            control,
            segments: 0,
            segment: None,
            has_gap: false,
            templates_new: 0,
            now_ns: 0,
            paused_until_ns: i64::MIN,
            counters: JournalCounters::default(),
        }
    }

    /// Whether a segment is to be opened before the next datagram.
    pub(crate) fn wants_segment(&mut self, now_ns: i64) -> bool {
        self.now_ns = now_ns;
        self.segment.is_none() && !self.is_paused()
    }

    /// Begins the segment of an interval with what is known.
    pub(crate) fn begin(&mut self, interval_start_s: i64, state: &[KeptMessage]) {
        let name = format!(
            "{}-{}-{}-{}.pcap",
            interval_start_s, self.worker, self.options.run, self.segments
        );
        self.segments += 1;
        let path = self.options.directory.join(&name);
        match create(&path, state) {
            Ok((file, octets)) => {
                self.counters.octets += octets;
                self.segment = Some(OpenSegment {
                    file,
                    name,
                    octets,
                    buffer: Vec::with_capacity(BUFFER_OCTETS + (1 << 17)),
                    buffered_datagrams: 0,
                    buffered_ns: self.now_ns,
                });
            }
            Err(_) => {
                let _ = fs::remove_file(&path); // it may not even be there
                self.pause();
            }
        }
    }

    /// Appends a datagram, or counts it as missing.
    pub(crate) fn append(&mut self, datagram: &Datagram<'_>) {
        self.now_ns = datagram.received_ns;
        let is_paused = self.is_paused();
        let Some(segment) = self.segment.as_mut().filter(|_| !is_paused) else {
            self.has_gap = true;
            self.counters.datagrams_missing += 1;
            return;
        };
        if segment.buffer.is_empty() {
            segment.buffered_ns = datagram.received_ns;
        }
        push_datagram(&mut segment.buffer, datagram, false);
        segment.buffered_datagrams += 1;
        if segment.buffer.len() >= BUFFER_OCTETS {
            self.write();
        }
    }

    /// Hands to the system what has waited long enough.
    pub(crate) fn write_if_due(&mut self, now_ns: i64) {
        let due = |segment: &OpenSegment| {
            !segment.buffer.is_empty()
                && (now_ns < segment.buffered_ns || now_ns - segment.buffered_ns >= WRITE_EVERY_NS)
        };
        if self.segment.as_ref().is_some_and(due) {
            self.write();
        }
    }

    /// Hands everything to the system.
    pub(crate) fn write(&mut self) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        let octets = segment.buffer.len() as u64;
        let datagrams = std::mem::take(&mut segment.buffered_datagrams);
        // At an offset: what a failure leaves behind the last whole packet is written over, or cut off.
        let written = segment.file.write_all_at(&segment.buffer, segment.octets);
        segment.buffer.clear();
        if written.is_ok() {
            segment.octets += octets;
            self.counters.octets += octets;
            self.counters.datagrams += datagrams;
        } else {
            let _ = segment.file.set_len(segment.octets); // a torn packet at the end is no harm
            self.has_gap = true;
            self.counters.datagrams_missing += datagrams;
            self.pause();
        }
    }

    /// Ends the interval: writes everything, and with it the sets that no template came for.
    pub(crate) fn end(&mut self, late: &[KeptMessage], templates_new: u64) -> Option<Segment> {
        self.write();
        let segment = self.segment.take();
        let has_gap = std::mem::take(&mut self.has_gap);
        let segment = segment?;
        let late_path = self.options.directory.join(late_name(&segment.name));
        let is_kept = late.is_empty() || self.settle(write_messages(&late_path, late, false));
        Some(Segment {
            name: segment.name,
            is_whole: !has_gap,
            late_is_kept: is_kept,
            has_new_templates: std::mem::replace(&mut self.templates_new, templates_new)
                != templates_new,
        })
    }

    /// Writes what is known, for the next start.
    pub(crate) fn save_state(&mut self, state: &[KeptMessage]) {
        let path = |suffix| {
            let name = format!("templates-{}.pcap{suffix}", self.worker);
            self.options.directory.join(name)
        };
        let (temporary, place) = (path(".tmp"), path(""));
        let saved =
            write_messages(&temporary, state, true).and_then(|()| fs::rename(temporary, place));
        self.settle(saved);
    }

    fn settle(&mut self, outcome: io::Result<()>) -> bool {
        self.counters.errors += u64::from(outcome.is_err());
        outcome.is_ok()
    }

    fn pause(&mut self) {
        self.counters.errors += 1;
        self.paused_until_ns = self.now_ns.saturating_add(PAUSE_NS);
    }

    fn is_paused(&self) -> bool {
        let since_ns = self.paused_until_ns.saturating_sub(PAUSE_NS);
        self.control.journal_paused() || (since_ns..self.paused_until_ns).contains(&self.now_ns)
    }
}

/// Where the sets of a segment go that it had no template for, until the segment is committed.
fn late_name(segment: &str) -> String {
    format!("{}.late.tmp", segment.trim_end_matches(".pcap"))
}

fn create(path: &Path, state: &[KeptMessage]) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let octets = file_of(state, true);
    file.write_all_at(&octets, 0)?;
    Ok((file, octets.len() as u64))
}

/// Writes a file of messages, which only `teach` or are to be decoded.
pub(crate) fn write_messages(path: &Path, messages: &[KeptMessage], teach: bool) -> io::Result<()> {
    fs::write(path, file_of(messages, teach))
}

fn file_of(messages: &[KeptMessage], teach: bool) -> Vec<u8> {
    let mut octets = crate::pcap::file_header().to_vec();
    for message in messages {
        push_datagram(&mut octets, &message.datagram(), teach);
    }
    octets
}

fn push_datagram(out: &mut Vec<u8>, datagram: &Datagram<'_>, teaches: bool) {
    // The address that a datagram was sent to is not known.
    let target: IpAddr = match (datagram.exporter, teaches) {
        (IpAddr::V4(_), false) => Ipv4Addr::UNSPECIFIED.into(),
        (IpAddr::V4(_), true) => TEACHES_V4.into(),
        (IpAddr::V6(_), false) => Ipv6Addr::UNSPECIFIED.into(),
        (IpAddr::V6(_), true) => TEACHES_V6.into(),
    };
    crate::pcap::push_packet(
        out,
        u64::try_from(datagram.received_ns).unwrap_or(0),
        SocketAddr::new(datagram.exporter, datagram.exporter_port),
        SocketAddr::new(target, datagram.local_port),
        datagram.payload,
    );
}

/// Captures that could not be read to their end: the path, and a sentence without its subject.
pub type CaptureFaults = Vec<(String, String)>;

/// The templates that the exporters in these captures defined, and what was wrong with the captures.
///
/// # Errors
/// None that a caller can bring about.
pub fn known_templates(
    captures: &[PathBuf],
) -> Result<(Vec<TemplateSummary>, CaptureFaults), StartError> {
    let mut decoder = Decoder::new(&DecoderOptions::default())?;
    let mut faults = Vec::new();
    for path in captures {
        let read = read_datagrams(path, |datagram, teaches| {
            if teaches {
                decoder.learn(datagram);
            } else {
                decoder.recall(datagram);
            }
        });
        if let Err(fault) = read {
            faults.push((path.display().to_string(), fault.to_string()));
        }
    }
    Ok((decoder.templates(), faults))
}

/// Whether a packet to this address only teaches.
pub(crate) fn teaches(target: IpAddr) -> bool {
    target == TEACHES_V4 || target == TEACHES_V6
}
