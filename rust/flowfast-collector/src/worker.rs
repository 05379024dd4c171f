//! One thread, one socket, one lane.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flowfast_decode::{Datagram, DecodeError, EXPECTED_AHEAD};

use crate::lane::Lane;
use crate::net::recv::{Receiver, Reception, Train};
use crate::queue::Control;

/// Pause after an error of the socket, so that a lasting one does not take a core.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Which protocols a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenFormat {
    /// All.
    Any,
    /// NetFlow v1 to v9 and IPFIX.
    Netflow,
    /// sFlow.
    Sflow,
}

impl ListenFormat {
    /// Whether a datagram may pass. What is of no known protocol passes: the decoder says what is wrong with it.
    fn takes(self, payload: &[u8]) -> bool {
        match (self, payload) {
            (Self::Any, _) => true,
            // sFlow datagrams start with a version of 32 bits: 2, 4 or 5.
            (Self::Netflow, [0, 0, 0, version, ..]) => !matches!(version, 2 | 4 | 5),
            // NetFlow and IPFIX messages start with a version of 16 bits: 1 to 10.
            (Self::Sflow, [0, version, ..]) => !(1..=10).contains(version),
            _ => true,
        }
    }
}

/// A worker that reads a socket.
pub(crate) struct Worker {
    pub(crate) receiver: Receiver,
    pub(crate) lane: Lane,
    pub(crate) format: ListenFormat,
    pub(crate) local_port: u16,
    /// Octets that the kernel can hold for it at most.
    pub(crate) kernel_queue_octets: usize,
    pub(crate) control: Arc<Control>,
    /// The kernel's counter of drops when it was read last; it wraps.
    pub(crate) kernel_drops: u32,
}

impl Worker {
    /// Receives until told to stop.
    pub(crate) fn run(mut self) {
        self.lane.advance(now_ns());
        while !self.control.stopping() {
            self.receive(true);
        }
        self.drain();
        self.count_kernel_drops();
        self.lane.finish();
    }

    /// Reads what came before the stop: all of that, once as many octets have been read as the kernel can hold.
    fn drain(&mut self) {
        let mut octets = 0;
        while octets <= self.kernel_queue_octets && !self.control.abandoned() {
            match self.receive(false) {
                0 => return,
                more => octets += more,
            }
        }
    }

    /// The next receptions, decoded; at least their octets are returned, 0 if there were none.
    fn receive(&mut self, wait: bool) -> usize {
        let (now_ns, octets) = self.decode_next(wait);
        if self.lane.publishing_is_due(now_ns) {
            self.count_kernel_drops();
            self.lane.publish(now_ns);
        }
        octets
    }

    /// When they were received, too.
    fn decode_next(&mut self, wait: bool) -> (i64, usize) {
        let received = self.receiver.receive(wait);
        let now_ns = now_ns();
        self.lane.advance(now_ns);
        let mut octets = 0;
        match received {
            Ok(receptions) if receptions.len() == 0 => self.lane.idle(),
            Ok(receptions) => {
                let receptions: Vec<_> = receptions.collect();
                for (index, reception) in receptions.iter().enumerate() {
                    if let Some(Reception::Train(later)) = receptions.get(index + EXPECTED_AHEAD)
                        && let Some(payload) = later.datagrams().next()
                    {
                        let datagram = datagram(later, payload, self.local_port, now_ns);
                        self.lane.expect(&datagram);
                    }
                    octets += take(
                        &mut self.lane,
                        self.format,
                        self.local_port,
                        now_ns,
                        reception,
                    );
                }
            }
            Err(_) => {
                self.lane.own.receive_errors += 1;
                std::thread::sleep(ERROR_PAUSE);
            }
        }
        (now_ns, octets)
    }

    fn count_kernel_drops(&mut self) {
        if let Ok(drops) = self.receiver.kernel_drops() {
            self.lane
                .kernel_dropped(u64::from(drops.wrapping_sub(self.kernel_drops)));
            self.kernel_drops = drops;
        }
    }
}

/// Decodes a reception; at least its octets are returned, and never 0.
fn take(
    lane: &mut Lane,
    format: ListenFormat,
    local_port: u16,
    now_ns: i64,
    reception: &Reception<'_>,
) -> usize {
    lane.own.trains_received += 1;
    match reception {
        Reception::Train(train) => {
            lane.sent_to(train.local_address);
            for payload in train.datagrams() {
                let datagram = datagram(train, payload, local_port, now_ns);
                if format.takes(payload) {
                    lane.datagram(&datagram);
                } else {
                    lane.discard(&datagram, DecodeError::WrongProtocol);
                }
            }
            lane.settle(now_ns);
            train.octets().max(1)
        }
        &Reception::Truncated { datagrams, octets } => {
            lane.discard_truncated(datagrams, octets as u64);
            octets.max(1)
        }
    }
}

/// A datagram of a train.
fn datagram<'a>(
    train: &Train<'_>,
    payload: &'a [u8],
    local_port: u16,
    received_ns: i64,
) -> Datagram<'a> {
    Datagram {
        exporter: train.exporter,
        exporter_port: train.exporter_port,
        local_port,
        received_ns,
        payload,
    }
}

/// Nanoseconds since the UNIX epoch.
pub(crate) fn now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}
