//! Replay with several workers: the reader sends each Exporter's datagrams to one of them, as the kernel does for sockets.

use std::net::IpAddr;

use crossbeam_channel::{Receiver, Sender, bounded};
use flowfast_decode::Datagram;

use crate::consumer::Consumer;
use crate::error::StartError;
use crate::lane::Lane;
use crate::net::steer::worker_of;
use crate::worker::now_ns;

/// A parcel is sent when it holds so many octets...
const PARCEL_OCTETS: usize = 256 << 10;
/// ... or so many datagrams.
const PARCEL_DATAGRAMS: usize = 1024;
/// Parcels under way to a worker.
const PARCELS: usize = 4;

/// Datagrams on their way to a worker, copied together: a channel operation per datagram would cost more than decoding it.
#[derive(Debug, Default)]
struct Parcel {
    octets: Vec<u8>,
    datagrams: Vec<Envelope>,
}

/// A datagram without its payload, which ends in the parcel's octets at `end`.
#[derive(Clone, Copy, Debug)]
struct Envelope {
    exporter: IpAddr,
    exporter_port: u16,
    local_port: u16,
    received_ns: i64,
    teaches: bool,
    end: usize,
}

/// The reader's end of one worker.
pub(super) struct Steered {
    parcel: Parcel,
    full: Sender<Parcel>,
    /// Parcels that come back, to be filled again.
    empty: Receiver<Parcel>,
}

/// Starts one thread a lane.
pub(super) fn spawn(lanes: Vec<Lane>, consumer: &Consumer) -> Result<Vec<Steered>, StartError> {
    let start = |lane: Lane| {
        let (full, parcels) = bounded(PARCELS);
        let (returned, empty) = bounded(PARCELS + 1);
        let name = format!("flowfast-{}", lane.worker());
        consumer.spawn(name, move || decode(lane, &parcels, &returned))?;
        Ok(Steered {
            parcel: Parcel::default(),
            full,
            empty,
        })
    };
    lanes.into_iter().map(start).collect()
}

impl Steered {
    /// Sends a datagram to its Exporter's worker.
    pub(super) fn send(workers: &mut [Self], datagram: &Datagram<'_>, teaches: bool) {
        let index = worker_of(datagram.exporter, workers.len());
        let worker = &mut workers[index];
        worker.parcel.push(datagram, teaches);
        if worker.parcel.is_full() {
            worker.dispatch();
        }
    }

    /// Sends what is left; the worker ends when it has decoded that.
    pub(super) fn finish(mut self) {
        self.dispatch();
    }

    fn dispatch(&mut self) {
        let next = self.empty.try_recv().unwrap_or_default();
        // It waits while the worker does; a worker whose consumer is gone never waits. An error means that the worker is lost,
        // which is counted where it happened.
        let _ = self.full.send(std::mem::replace(&mut self.parcel, next));
    }
}

impl Parcel {
    fn push(&mut self, datagram: &Datagram<'_>, teaches: bool) {
        self.octets.extend_from_slice(datagram.payload);
        self.datagrams.push(Envelope {
            exporter: datagram.exporter,
            exporter_port: datagram.exporter_port,
            local_port: datagram.local_port,
            received_ns: datagram.received_ns,
            teaches,
            end: self.octets.len(),
        });
    }

    fn is_full(&self) -> bool {
        self.octets.len() >= PARCEL_OCTETS || self.datagrams.len() >= PARCEL_DATAGRAMS
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.datagrams.clear();
    }
}

fn decode(mut lane: Lane, parcels: &Receiver<Parcel>, returned: &Sender<Parcel>) {
    for mut parcel in parcels {
        let mut start = 0;
        for envelope in &parcel.datagrams {
            let datagram = Datagram {
                exporter: envelope.exporter,
                exporter_port: envelope.exporter_port,
                local_port: envelope.local_port,
                received_ns: envelope.received_ns,
                payload: &parcel.octets[start..envelope.end],
            };
            if envelope.teaches {
                lane.learn(&datagram);
            } else {
                lane.datagram_at_its_time(&datagram);
            }
            start = envelope.end;
        }
        lane.publish_if_due(now_ns());
        parcel.clear();
        let _ = returned.try_send(parcel); // the reader has enough
    }
    lane.finish();
}
