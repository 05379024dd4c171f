//! Receiving: one buffer a worker, and its datagrams in place.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use socket2::Socket;

use super::sys;

/// No UDP datagram and no UDP_GRO train is longer (the kernel caps trains at 65,535 octets), so nothing can be truncated.
const BUFFER_OCTETS: usize = 1 << 16;

/// One socket and its buffer.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: Socket,
    buffer: Box<[u8]>,
}

/// What the socket gave.
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
    /// Nothing came within the socket's timeout, or nothing is there.
    Nothing,
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
        Self {
            socket,
            buffer: vec![0; octets].into(),
        }
    }

    /// The next reception; without `wait` only what is already there.
    pub(crate) fn receive(&mut self, wait: bool) -> io::Result<Reception<'_>> {
        let received = match sys::receive(self.socket.as_fd(), &mut self.buffer, wait) {
            Ok(received) => received,
            // A timeout is WouldBlock, too; a signal is the other threads' business.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(Reception::Nothing);
            }
            Err(error) => return Err(error),
        };
        let segment = received.segment.map_or(received.octets.max(1), usize::from);
        if received.truncated {
            let datagrams = received.octets.div_ceil(segment).max(1) as u64;
            return Ok(Reception::Truncated {
                datagrams,
                octets: received.octets,
            });
        }
        let payload = &self.buffer[..received.octets.min(self.buffer.len())];
        let local_address = received.destination.map(|each| each.to_canonical());
        Ok(Reception::Train(Train {
            local_address,
            ..Train::new(received.source, payload, segment)
        }))
    }

    /// Datagrams that the kernel dropped at this socket; wraps at 2^32.
    pub(crate) fn kernel_drops(&self) -> io::Result<u32> {
        sys::kernel_drops(self.socket.as_fd())
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
