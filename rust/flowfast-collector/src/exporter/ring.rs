//! One Exporter at full speed: a socket, and a ring of its prebuilt datagrams.

use std::io;

use super::{
    course::{Course, Turn},
    options::ExportOptions,
    process::ExportingProcess,
    sent::{Sent, Tally},
    train::TrainSocket,
};

/// Distinct datagrams per Exporter: enough that flows differ, few enough to stay in a cache.
const RING_DATAGRAMS: u64 = 1024;

/// Sends the messages of one Exporter.
pub(super) struct RingSender {
    socket: TrainSocket,
    process: ExportingProcess,
    course: Course,
    templates: Option<(Vec<u8>, Tally)>,
    ring: Ring,
}

/// Data messages of equal size, one behind the other, so that neighbours are a train.
#[derive(Default)]
struct Ring {
    octets: Vec<u8>,
    contents: Vec<Tally>,
    datagram_octets: usize,
    /// Index of the next datagram.
    position: usize,
}

impl Ring {
    fn new(process: &mut ExportingProcess, datagrams: u64, max_octets: usize) -> Self {
        let mut ring = Self::default();
        for _ in 0..datagrams {
            let (message, contents) = process.data_message(process.records_per_message());
            ring.datagram_octets = message.len();
            ring.octets.extend(message);
            ring.contents.push(contents);
            if ring.octets.len() + ring.datagram_octets > max_octets {
                break;
            }
        }
        ring
    }

    /// How many datagrams there are before its end.
    fn remaining(&self) -> usize {
        self.contents.len() - self.position
    }

    fn octets_of(&mut self, first: usize, datagrams: usize) -> &mut [u8] {
        let start = first * self.datagram_octets;
        &mut self.octets[start..start + datagrams * self.datagram_octets]
    }

    fn advance(&mut self, datagrams: usize) {
        self.position = (self.position + datagrams) % self.contents.len();
    }
}

impl RingSender {
    /// With `flows` to send, and a ring of at most `ring_octets` (but one datagram).
    pub(super) fn new(
        options: &ExportOptions,
        mut process: ExportingProcess,
        socket: TrainSocket,
        flows: u64,
        ring_octets: usize,
    ) -> Self {
        let records = process.records_per_message();
        let templates = process.template_message();
        let refresh = templates
            .as_ref()
            .map(|_| options.template_refresh_datagrams);
        let datagrams = RING_DATAGRAMS.min(flows / records as u64);
        Self {
            socket,
            course: Course::new(records, flows, refresh),
            templates,
            ring: Ring::new(&mut process, datagrams, ring_octets),
            process,
        }
    }

    /// What it sends with, and from.
    pub(super) fn socket(&self) -> &TrainSocket {
        &self.socket
    }

    /// What it sends.
    pub(super) fn process(&self) -> &ExportingProcess {
        &self.process
    }

    /// Flows in the next so many data messages.
    pub(super) fn flows_in(&self, datagrams: u64) -> u64 {
        self.course.flows_in(datagrams)
    }

    /// Sends the next so many data messages, and the Templates that are due among them.
    pub(super) fn send(&mut self, datagrams: u64, time_ms: u64, sent: &mut Sent) -> io::Result<()> {
        let mut left = datagrams;
        while left > 0 {
            left -= match self.course.turn() {
                Turn::Templates => self.send_templates(time_ms, sent)?,
                Turn::Data(run) => self.send_ring(run.min(left) as usize, time_ms, sent)?,
                Turn::Remainder(records) => self.send_remainder(records, time_ms, sent)?,
                Turn::End => return Ok(()),
            };
        }
        Ok(())
    }

    /// Returns the data messages that it sent: none.
    fn send_templates(&mut self, time_ms: u64, sent: &mut Sent) -> io::Result<u64> {
        let sequence = self.course.pass_templates(self.process.sequence_step(0));
        if let Some((message, contents)) = &mut self.templates {
            self.process.stamp(message, time_ms, sequence);
            self.socket.send(message, message.len())?;
            sent.count(self.process.exporter(), message.len(), contents, sequence);
        }
        Ok(0)
    }

    /// Stamps and sends a train, which ends where the ring does. Returns its data messages.
    fn send_ring(&mut self, datagrams: usize, time_ms: u64, sent: &mut Sent) -> io::Result<u64> {
        let records = self.process.records_per_message();
        let step = self.process.sequence_step(records);
        let (first, octets) = (self.ring.position, self.ring.datagram_octets);
        let datagrams = datagrams.min(self.ring.remaining());
        for index in first..first + datagrams {
            let sequence = self.course.pass_data(records as u64, step);
            self.process
                .stamp(self.ring.octets_of(index, 1), time_ms, sequence);
            sent.count(
                self.process.exporter(),
                octets,
                &self.ring.contents[index],
                sequence,
            );
        }
        self.socket
            .send(self.ring.octets_of(first, datagrams), octets)?;
        self.ring.advance(datagrams);
        Ok(datagrams as u64)
    }

    /// The last message, which is not full. Returns the data messages that it sent: one.
    fn send_remainder(&mut self, records: usize, time_ms: u64, sent: &mut Sent) -> io::Result<u64> {
        let (mut message, contents) = self.process.data_message(records);
        let step = self.process.sequence_step(records);
        let sequence = self.course.pass_data(records as u64, step);
        self.process.stamp(&mut message, time_ms, sequence);
        self.socket.send(&message, message.len())?;
        sent.count(self.process.exporter(), message.len(), &contents, sequence);
        Ok(1)
    }
}
