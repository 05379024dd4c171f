//! The thread that reads capture files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowfast_decode::Datagram;

use super::capture::{CaptureFault, Packet, read_packets};
use super::packet::{Skip, udp_datagram};
use super::steered::Steered;
use crate::lane::Lane;
use crate::queue::Control;
use crate::worker::now_ns;

/// Counters are published every so many packets, if it is time.
const PACKETS_PER_LOOK: u64 = 1024;

/// A file to read.
#[derive(Debug)]
pub(super) struct Input {
    /// As it was given; `-` is standard input.
    pub(super) path: String,
    /// Its length, 0 if that is unknown.
    pub(super) octets: u64,
    /// Open already, if it can be opened only once.
    pub(super) open: Option<File>,
}

impl Input {
    fn reader(&mut self) -> io::Result<Box<dyn Read + Send>> {
        match self.open.take() {
            Some(file) => Ok(Box::new(file)),
            None if self.path == "-" => Ok(Box::new(io::stdin())),
            None => Ok(Box::new(File::open(&self.path)?)),
        }
    }
}

/// Where datagrams go.
pub(super) enum Dispatch {
    /// They are decoded here.
    Inline(Box<Lane>),
    /// Each Exporter's go to one worker.
    Steered(Vec<Steered>),
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PacketCounters {
    pub(super) read: u64,
    pub(super) learnt: u64,
    pub(super) skipped: [u64; Skip::ALL.len()],
}

/// How far it is, for the consumer to see.
#[derive(Debug)]
pub(super) struct Progress {
    octets_read: AtomicU64,
    octets: u64,
    packets: Mutex<PacketCounters>,
    file_errors: Mutex<Vec<(String, String)>>,
}

impl Progress {
    pub(super) fn new(octets: u64) -> Self {
        Self {
            octets_read: AtomicU64::new(0),
            octets,
            packets: Mutex::default(),
            file_errors: Mutex::default(),
        }
    }

    pub(super) fn octets(&self) -> (u64, u64) {
        (self.octets_read.load(Ordering::Relaxed), self.octets)
    }

    pub(super) fn packets(&self) -> PacketCounters {
        *lock(&self.packets)
    }

    pub(super) fn file_errors(&self) -> Vec<(String, String)> {
        lock(&self.file_errors).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads all files, one after the other.
pub(super) struct Reader {
    inputs: Vec<Input>,
    ports: Vec<u16>,
    dispatch: Dispatch,
    packets: PacketCounters,
    /// Exporters to learn of; `None`: all.
    pupils: Option<HashSet<IpAddr>>,
    control: Arc<Control>,
    progress: Arc<Progress>,
}

impl Reader {
    pub(super) fn new(
        inputs: Vec<Input>,
        ports: Vec<u16>,
        dispatch: Dispatch,
        control: Arc<Control>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            inputs,
            ports,
            dispatch,
            packets: PacketCounters::default(),
            pupils: None,
            control,
            progress,
        }
    }

    /// Learns only of exporters that the last of several files has datagrams of: it is what the others are to explain, and they may
    /// tell of a hundred thousand more.
    pub(super) fn learn_for_the_last(&mut self) {
        if let [_, .., last] = &self.inputs[..] {
            let mut pupils = HashSet::new();
            // What is wrong with the file is told when its turn comes.
            let _ = read_datagrams(Path::new(&last.path), |datagram, teaches| {
                if !teaches {
                    pupils.insert(datagram.exporter);
                }
            });
            self.pupils = Some(pupils);
        }
    }

    pub(super) fn run(mut self) {
        let progress = Arc::clone(&self.progress);
        let mut octets_before = 0;
        for mut input in std::mem::take(&mut self.inputs) {
            if let Err(fault) = self.read_file(&mut input, &progress.octets_read) {
                lock(&progress.file_errors).push((input.path, fault.to_string()));
            }
            if self.control.stopping() {
                break;
            }
            octets_before += input.octets;
            // The rest of a file that is none of ours is done with, too.
            progress
                .octets_read
                .fetch_max(octets_before, Ordering::Relaxed);
        }
        *lock(&progress.packets) = self.packets;
        match self.dispatch {
            Dispatch::Inline(mut lane) => lane.finish(),
            Dispatch::Steered(workers) => workers.into_iter().for_each(Steered::finish),
        }
    }

    fn read_file(
        &mut self,
        input: &mut Input,
        octets_read: &AtomicU64,
    ) -> Result<(), CaptureFault> {
        let reader = input
            .reader()
            .map_err(|source| CaptureFault::Read { packets: 0, source })?;
        let unsupported = Skip::UnsupportedLink as usize;
        let before = self.packets.skipped[unsupported];
        read_packets(reader, octets_read, |packet| self.packet(&packet))?;
        match self.packets.skipped[unsupported] - before {
            0 => Ok(()),
            packets => Err(CaptureFault::UnsupportedLink { packets }),
        }
    }

    fn packet(&mut self, packet: &Packet<'_>) -> ControlFlow<()> {
        self.packets.read += 1;
        match self.datagram(packet) {
            Ok((datagram, true)) => {
                let pupils = self.pupils.as_ref();
                if pupils.is_none_or(|pupils| pupils.contains(&datagram.exporter)) {
                    self.packets.learnt += 1;
                    self.dispatch.datagram(&datagram, true);
                }
            }
            Ok((datagram, false)) => self.dispatch.datagram(&datagram, false),
            Err(reason) => self.packets.skipped[reason as usize] += 1,
        }
        if self.packets.read.is_multiple_of(PACKETS_PER_LOOK) {
            *lock(&self.progress.packets) = self.packets;
            self.dispatch.publish();
        }
        if self.control.stopping() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn datagram<'a>(&self, packet: &Packet<'a>) -> Result<(Datagram<'a>, bool), Skip> {
        let (datagram, teaches) = datagram_of(packet)?;
        if !self.ports.is_empty() && !self.ports.contains(&datagram.local_port) {
            return Err(Skip::OtherPort);
        }
        Ok((datagram, teaches))
    }
}

/// The datagram in a packet, and whether it only teaches.
fn datagram_of<'a>(packet: &Packet<'a>) -> Result<(Datagram<'a>, bool), Skip> {
    let udp = udp_datagram(packet.link, packet.octets, packet.snapped)?;
    let datagram = Datagram {
        exporter: udp.source,
        exporter_port: udp.source_port,
        local_port: udp.destination_port,
        received_ns: packet.time_ns,
        payload: udp.payload,
    };
    Ok((datagram, udp.teaches))
}

/// Gives every datagram of a capture file to `each`, with whether it only teaches.
pub(crate) fn read_datagrams(
    path: &Path,
    mut each: impl FnMut(&Datagram<'_>, bool),
) -> Result<(), CaptureFault> {
    let file = File::open(path).map_err(|source| CaptureFault::Read { packets: 0, source })?;
    read_packets(file, &AtomicU64::default(), |packet| {
        if let Ok((datagram, teaches)) = datagram_of(&packet) {
            each(&datagram, teaches);
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

impl Dispatch {
    fn datagram(&mut self, datagram: &Datagram<'_>, teaches: bool) {
        match self {
            Self::Inline(lane) if teaches => lane.learn(datagram),
            Self::Inline(lane) => lane.datagram_at_its_time(datagram),
            Self::Steered(workers) => Steered::send(workers, datagram, teaches),
        }
    }

    fn publish(&mut self) {
        if let Self::Inline(lane) = self {
            lane.publish_if_due(now_ns());
        }
    }
}
