//! Receiving: one socket, and its datagrams in place.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::sys::{self, Received, SLOTS, Slots};

/// No UDP datagram and no UDP_GRO train is longer (the kernel caps trains at 65,535 octets), so nothing can be truncated.
const BUFFER_OCTETS: usize = 1 << 16;

/// What is received in one call and decoded before the next shall stay in the caches.
const CALL_OCTETS: usize = 1 << 16;

/// How long what comes is let come while there is traffic. To be woken costs more than to receive, and each datagram would wake.
const PAUSE: Duration = Duration::from_millis(4);

/// A pause is no longer than a receive buffer takes to fill at 16 GB/s by the kernel's reckoning; the shortest datagrams take 11 GB/s of it
/// at 10 Gbit/s.
const OCTETS_PER_PAUSED_US: usize = 16 << 10;

/// A shorter pause saves nothing.
const MIN_PAUSE: Duration = Duration::from_micros(100);

/// One socket and its buffers.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: Socket,
    /// What it is bound to, if that is one address: all is sent to it.
    address: Option<IpAddr>,
    slots: Slots,
    received: Vec<Received>,
    /// Slots of the next call.
    count: usize,
    /// The last call has left nothing behind.
    is_drained: bool,
    pause: Duration,
    /// When something was last received.
    heard: Option<Instant>,
}

/// What the socket gave for one slot.
#[derive(Debug)]
pub(crate) enum Reception<'a> {
    /// One datagram or more from one source.
    Train(Train<'a>),
    /// So many datagrams that did not fit the buffer; their octets are not to be trusted.
    Truncated {
        /// How many, from the octets that arrived.
        datagrams: u64,
        /// Octets that arrived.
        octets: usize,
    },
}

/// The datagrams of one reception, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Train<'a> {
    /// Source address, IPv4 where it was IPv4 on the wire (FF-TR-11).
    pub(crate) exporter: IpAddr,
    /// Source UDP port.
    pub(crate) exporter_port: u16,
    /// The address of this machine that it was sent to, in the same form.
    pub(crate) local_address: Option<IpAddr>,
    payload: &'a [u8],
    segment: usize,
}

impl Receiver {
    pub(crate) fn new(socket: Socket) -> Self {
        Self::with_buffer(socket, BUFFER_OCTETS)
    }

    fn with_buffer(socket: Socket, octets: usize) -> Self {
        let buffered = socket.recv_buffer_size().unwrap_or_default();
        let bound = socket.local_addr().ok().and_then(|each| each.as_socket());
        let address = bound.map(|each| each.ip().to_canonical());
        Self {
            socket,
            address: address.filter(|each| !each.is_unspecified()),
            slots: Slots::new(octets),
            received: Vec::with_capacity(SLOTS),
            count: 1,
            is_drained: false,
            pause: pause(buffered),
            heard: None,
        }
    }

    /// The next receptions, in order; none: nothing came within the socket's timeout. Without `wait`: those that are already there.
    pub(crate) fn receive(
        &mut self,
        wait: bool,
    ) -> io::Result<impl ExactSizeIterator<Item = Reception<'_>>> {
        if wait && self.is_drained && self.heard.is_some_and(|at| at.elapsed() < self.pause) {
            std::thread::sleep(self.pause);
        }
        self.received.clear();
        let fd = self.socket.as_fd();
        match sys::receive(fd, &mut self.slots, self.count, wait, &mut self.received) {
            Ok(()) => {}
            // A timeout is WouldBlock, too; a signal is the other threads' business.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
        self.is_drained = self.received.len() < self.count;
        if let Some(longest) = self.received.iter().map(|each| each.octets).max() {
            self.heard = Some(Instant::now());
            self.count = (CALL_OCTETS / longest.max(1)).clamp(1, SLOTS);
        }
        let (slots, address) = (&self.slots, self.address);
        let received = self.received.iter().enumerate();
        Ok(received.map(move |(slot, each)| {
            Reception::new(each, slots.octets(slot, each.octets), address)
        }))
    }

    /// Datagrams that the kernel dropped at this socket; wraps at 2^32.
    pub(crate) fn kernel_drops(&self) -> io::Result<u32> {
        sys::kernel_drops(self.socket.as_fd())
    }
}

/// How long a receive buffer of so many octets, in the kernel's reckoning, lets wait.
fn pause(buffer_octets: usize) -> Duration {
    let room = Duration::from_micros((buffer_octets / OCTETS_PER_PAUSED_US) as u64);
    if room < MIN_PAUSE {
        Duration::ZERO
    } else {
        room.min(PAUSE)
    }
}

impl<'a> Reception<'a> {
    fn new(received: &Received, octets: &'a [u8], bound: Option<IpAddr>) -> Self {
        let segment = received.segment.map_or(received.octets.max(1), usize::from);
        if received.truncated {
            return Self::Truncated {
                datagrams: received.octets.div_ceil(segment).max(1) as u64,
                octets: received.octets,
            };
        }
        let destination = received.destination.map(|each| each.to_canonical());
        Self::Train(Train {
            local_address: destination.or(bound),
            ..Train::new(received.source, octets, segment)
        })
    }
}

impl<'a> Train<'a> {
    fn new(source: SocketAddr, payload: &'a [u8], segment: usize) -> Self {
        Self {
            exporter: source.ip().to_canonical(),
            exporter_port: source.port(),
            local_address: None,
            payload,
            segment,
        }
    }

    /// UDP payload of each datagram. There is always at least one, be it empty.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (first, rest) = self.payload.split_at(self.segment.min(self.payload.len()));
        std::iter::once(first).chain(rest.chunks(self.segment))
    }

    /// Octets of all its datagrams.
    pub(crate) fn octets(&self) -> usize {
        self.payload.len()
    }
}

#[cfg(test)]
#[path = "recv_tests.rs"]
mod tests;
