//! All messages of all Exporters, in the order of a simulated clock.

use std::io;

use super::{
    course::{Course, Turn, deal},
    options::ExportOptions,
    process::{Clock, ExportingProcess},
    sent::Tally,
};

/// 2026-01-01T00:00:00Z.
const DEFAULT_START_TIME_S: u32 = 1_767_225_600;
/// The pace of the simulated clock when no rate is asked for.
const UNPACED_FLOWS_PER_S: f64 = 100_000.0;

/// One message, as it would leave its Exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Index of the Exporter, from 0.
    pub exporter: usize,
    /// When it leaves, UNIX nanoseconds.
    pub time_ns: u64,
    /// Its sequence number.
    pub sequence: u32,
    /// What is in it.
    pub contents: Tally,
    /// The message.
    pub octets: Vec<u8>,
}

/// The messages of all Exporters in the order of their times: the same for the same options.
///
/// The clock runs at the rate asked for, or at 100 000 flows per second if none is.
pub struct Messages {
    streams: Vec<Stream>,
    next_stream: usize,
}

impl Messages {
    /// From the first on. Fails if the options cannot be met.
    pub fn new(options: &ExportOptions) -> io::Result<Self> {
        options.validate()?;
        let rate = match options.rate_flows_per_s {
            0.0 => UNPACED_FLOWS_PER_S,
            rate => rate,
        };
        let clock = Clock {
            start_ms: u64::from(options.start_time_s.unwrap_or(DEFAULT_START_TIME_S)) * 1000,
            ns_per_flow: 1e9 / rate,
        };
        let processes = (0..options.exporters)
            .map(|exporter| ExportingProcess::new(options, exporter, clock))
            .collect::<Result<Vec<_>, _>>()?;
        let records = processes
            .first()
            .map_or(1, ExportingProcess::records_per_message);
        let parts = deal(options.flow_bound(rate), records, options.exporters);
        let streams = processes
            .into_iter()
            .zip(parts)
            .map(|(process, flows)| Stream::new(options, process, clock, flows))
            .collect();
        Ok(Self {
            streams,
            next_stream: 0,
        })
    }

    /// The Observation Domain of each Exporter.
    pub fn observation_domain_ids(&self) -> impl Iterator<Item = u32> {
        self.streams
            .iter()
            .map(|stream| stream.process.observation_domain_id())
    }

    /// Numbers one of its messages as if its Exporter had sent others, too; returns the number of the message after it.
    pub(crate) fn renumber(&self, message: &mut Message, sequence: u32) -> u32 {
        let process = &self.streams[message.exporter].process;
        message.sequence = sequence;
        process.stamp(&mut message.octets, message.time_ns / 1_000_000, sequence);
        sequence.wrapping_add(process.sequence_step(message.contents.flows() as usize))
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        for _ in 0..self.streams.len() {
            let stream = &mut self.streams[self.next_stream];
            // Templates leave together with the data message that they precede.
            let is_data = stream.course.turn() != Turn::Templates;
            let message = stream.next_message();
            if is_data {
                self.next_stream = (self.next_stream + 1) % self.streams.len();
            }
            if message.is_some() {
                return message;
            }
        }
        None
    }
}

/// The messages of one Exporter.
struct Stream {
    process: ExportingProcess,
    course: Course,
    clock: Clock,
    /// Flows of all Exporters that are complete when its next message leaves.
    flows_complete: u64,
    /// By how much that grows from one message to the next.
    flows_between: u64,
}

impl Stream {
    fn new(options: &ExportOptions, process: ExportingProcess, clock: Clock, flows: u64) -> Self {
        let records = process.records_per_message();
        let exporter = process.exporter();
        let refresh = process
            .template_message()
            .map(|_| options.template_refresh_datagrams);
        Self {
            course: Course::new(records, flows, refresh),
            process,
            clock,
            // Exporters fill their messages side by side and send them one after the other.
            flows_complete: (records * (options.exporters + exporter)) as u64,
            flows_between: (records * options.exporters) as u64,
        }
    }

    fn next_message(&mut self) -> Option<Message> {
        let time_ns = self.clock.time_ns(self.flows_complete);
        let (octets, contents, sequence) = match self.course.turn() {
            Turn::Templates => self.templates()?,
            Turn::Data(_) => self.data(self.process.records_per_message()),
            Turn::Remainder(records) => self.data(records),
            Turn::End => return None,
        };
        let mut message = Message {
            exporter: self.process.exporter(),
            time_ns,
            sequence,
            contents,
            octets,
        };
        self.process
            .stamp(&mut message.octets, time_ns / 1_000_000, sequence);
        Some(message)
    }

    fn templates(&mut self) -> Option<(Vec<u8>, Tally, u32)> {
        let (octets, contents) = self.process.template_message()?;
        let sequence = self.course.pass_templates(self.process.sequence_step(0));
        Some((octets, contents, sequence))
    }

    fn data(&mut self, records: usize) -> (Vec<u8>, Tally, u32) {
        let (octets, contents) = self.process.data_message(records);
        let step = self.process.sequence_step(records);
        let sequence = self.course.pass_data(records as u64, step);
        self.flows_complete += self.flows_between;
        (octets, contents, sequence)
    }
}
