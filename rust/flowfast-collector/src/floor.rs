//! The least that receiving costs: a socket as a worker has it, read as a worker reads it, and nothing done with what comes.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::collector::MAX_RECEIVE_TIMEOUT;
use crate::net::recv::{Receiver, Reception};
use crate::net::socket::{self, DEFAULT_RCVBUF};

/// Receives and counts.
#[derive(Debug)]
pub struct ReceiveFloor {
    receiver: Mutex<Receiver>,
    address: SocketAddr,
    /// What the kernel holds at most, as for a worker.
    kernel_queue_octets: u64,
    stopping: AtomicBool,
}

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// UDP datagrams.
    pub datagrams: u64,
    /// Their payload.
    pub octets: u64,
    /// Receptions: single datagrams and UDP_GRO trains.
    pub trains: u64,
    /// Receptions that the kernel dropped at the socket.
    pub kernel_drops: u64,
}

impl ReceiveFloor {
    /// Binds `address` (port 0: a free one) with a receive buffer of so many octets (0: the default).
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub fn bind(address: SocketAddr, rcvbuf: usize) -> io::Result<Self> {
        let rcvbuf = if rcvbuf == 0 { DEFAULT_RCVBUF } else { rcvbuf };
        let bound = socket::bind(address, 1, rcvbuf, MAX_RECEIVE_TIMEOUT)?;
        let socket = bound.sockets.into_iter().next();
        let socket = socket.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            receiver: Mutex::new(Receiver::new(socket)),
            address: bound.address,
            kernel_queue_octets: 2 * bound.rcvbuf_granted as u64,
            stopping: AtomicBool::new(false),
        })
    }

    /// Where it is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives until [`Self::stop`], and then what the kernel still holds.
    ///
    /// # Errors
    /// The socket's, other than a timeout.
    pub fn run(&self) -> io::Result<Received> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let mut received = Received::default();
        while !self.stopping.load(Ordering::Relaxed) {
            received.count(receiver.receive(true)?);
        }
        let end = received.octets + self.kernel_queue_octets;
        while received.octets <= end && received.count(receiver.receive(false)?) {}
        received.kernel_drops = u64::from(receiver.kernel_drops()?);
        Ok(received)
    }

    /// Has [`Self::run`] end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Received {
    /// Counts receptions; whether there were any.
    fn count<'a>(&mut self, receptions: impl ExactSizeIterator<Item = Reception<'a>>) -> bool {
        let any = receptions.len() > 0;
        for reception in receptions {
            let (datagrams, octets) = match reception {
                Reception::Train(train) => (train.datagrams().count() as u64, train.octets()),
                Reception::Truncated { datagrams, octets } => (datagrams, octets),
            };
            self.datagrams += datagrams;
            self.octets += octets as u64;
            self.trains += 1;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    #[test]
    fn counts_what_was_sent_before_the_stop() -> io::Result<()> {
        let floor = ReceiveFloor::bind((Ipv4Addr::LOCALHOST, 0).into(), 0)?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        for payload in [&b"abc"[..], b"", b"defg"] {
            sender.send_to(payload, floor.address())?;
        }
        floor.stop();
        let received = floor.run()?;
        assert_eq!((received.datagrams, received.octets), (3, 7));
        assert_eq!(received.kernel_drops, 0);
        Ok(())
    }
}
