//! One Exporting Process per Exporter, which builds its messages.

use super::{
    encode::{self, Encoder, Header},
    error::ExportOptionsError,
    mix::{Family, MAX_AGE_MS, Mix},
    options::{ExportOptions, MAX_DATAGRAM_OCTETS},
    random::SplitMix64,
    sent::Tally,
    template::Templates,
};

/// How long Exporters are up before they export: a day, and each a little longer than the one before.
const UPTIME_MS: u64 = 86_400_000;
const UPTIME_STEP_MS: u64 = 977_000;
const _: () = assert!(MAX_AGE_MS < UPTIME_MS, "no flow starts before its Exporter");

/// When flows are complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// UNIX milliseconds.
    pub(super) start_ms: u64,
    /// Between the flows of all Exporters together; 0: the clock stands still.
    pub(super) ns_per_flow: f64,
}

impl Clock {
    /// UNIX nanoseconds when so many flows are complete.
    pub(super) fn time_ns(&self, flows: u64) -> u64 {
        self.start_ms * 1_000_000 + (flows as f64 * self.ns_per_flow) as u64
    }
}

/// Builds the messages of one Exporter.
pub(super) struct ExportingProcess {
    exporter: usize,
    exporters: usize,
    template_records: u64,
    ipv6_percent: u8,
    encoder: Box<dyn Encoder>,
    mix: Mix,
    clock: Clock,
    boot_time_ms: u64,
    records_per_message: usize,
}

impl ExportingProcess {
    /// That of the Exporter with this index, from 0.
    pub(super) fn new(
        options: &ExportOptions,
        exporter: usize,
        clock: Clock,
    ) -> Result<Self, ExportOptionsError> {
        // Field order and flows draw from streams of their own: no order changes any flow.
        let stream = 2 * exporter as u64;
        let random = SplitMix64::new(options.seed, stream + 1);
        let with_ipv6 = options.ipv6_percent > 0;
        let templates = Templates::new(options.named_template(), options.order, with_ipv6, &random)
            .with_ids_from(options.first_template_id);
        let mut process = Self {
            exporter,
            exporters: options.exporters,
            template_records: templates.all().count() as u64,
            ipv6_percent: templates.ipv6.as_ref().map_or(0, |_| options.ipv6_percent),
            encoder: encode::encoder(options.format, templates),
            mix: Mix::new(options.seed, stream),
            clock,
            boot_time_ms: clock.start_ms - UPTIME_MS - exporter as u64 * UPTIME_STEP_MS,
            records_per_message: 1,
        };
        process.check_datagram_octets(options.max_datagram_octets)?;
        process.records_per_message = process.fitting_records(options);
        Ok(process)
    }

    fn check_datagram_octets(&self, octets: usize) -> Result<(), ExportOptionsError> {
        let a_record_of_each = self
            .encoder
            .data_message_octets(1, usize::from(self.ipv6_percent > 0));
        let templates = self
            .encoder
            .template_message()
            .map_or(0, |message| message.len());
        let (min, max) = (a_record_of_each.max(templates), MAX_DATAGRAM_OCTETS);
        if (min..=max).contains(&octets) {
            Ok(())
        } else {
            Err(ExportOptionsError::DatagramOctets { octets, min, max })
        }
    }

    /// As many records as a datagram holds, or as are complete within a second: an Exporter does not keep
    /// a flow longer to fill a datagram.
    fn fitting_records(&self, options: &ExportOptions) -> usize {
        let fits = |&records: &usize| {
            let (ipv4, ipv6) = self.by_family(records);
            self.encoder.data_message_octets(ipv4, ipv6) <= options.max_datagram_octets
        };
        let per_datagram = (1..=self.encoder.max_records())
            .take_while(fits)
            .last()
            .unwrap_or(1);
        match options.rate_flows_per_s {
            0.0 => per_datagram,
            rate => per_datagram.min((rate / options.exporters as f64).ceil() as usize),
        }
    }

    /// The IPv4 and IPv6 share of so many records.
    fn by_family(&self, records: usize) -> (usize, usize) {
        let ipv6 = (records * usize::from(self.ipv6_percent) + 50) / 100;
        (records - ipv6, ipv6)
    }

    /// Flow Records in each data message but the last.
    pub(super) fn records_per_message(&self) -> usize {
        self.records_per_message
    }

    /// Index of its Exporter, from 0.
    pub(super) fn exporter(&self) -> usize {
        self.exporter
    }

    /// Also its v9 Source ID, and its v5 engine.
    pub(super) fn observation_domain_id(&self) -> u32 {
        self.exporter as u32 + 1
    }

    /// A message with all Templates, its header not yet stamped.
    pub(super) fn template_message(&self) -> Option<(Vec<u8>, Tally)> {
        let contents = Tally {
            templates: self.template_records,
            ..Tally::default()
        };
        Some((self.encoder.template_message()?, contents))
    }

    /// A message with the next flows, its header not yet stamped.
    pub(super) fn data_message(&mut self, records: usize) -> (Vec<u8>, Tally) {
        let (ipv4, ipv6) = self.by_family(records);
        let families = [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)];
        let flows: Vec<_> = families
            .into_iter()
            .flat_map(|(family, records)| std::iter::repeat_n(family, records))
            .map(|family| {
                let flows_before = self.mix.flows() * self.exporters as u64 + self.exporter as u64;
                self.mix
                    .flow(family, self.clock.time_ns(flows_before) / 1_000_000)
            })
            .collect();
        let contents = Tally {
            templates: 0,
            flows_ipv4: ipv4 as u64,
            flows_ipv6: ipv6 as u64,
            packets: flows.iter().map(|flow| self.encoder.volume(flow).0).sum(),
            octets: flows.iter().map(|flow| self.encoder.volume(flow).1).sum(),
        };
        (
            self.encoder.data_message(&flows, self.boot_time_ms),
            contents,
        )
    }

    /// Completes the header of one of its messages.
    pub(super) fn stamp(&self, message: &mut [u8], time_ms: u64, sequence: u32) {
        let header = Header {
            time_ms,
            boot_time_ms: self.boot_time_ms,
            sequence,
            observation_domain_id: self.observation_domain_id(),
            records_before: sequence.wrapping_mul(self.records_per_message as u32),
        };
        self.encoder.stamp(message, header);
    }

    /// By how much a message with so many data records advances the sequence number.
    pub(super) fn sequence_step(&self, records: usize) -> u32 {
        self.encoder.sequence_step(records as u32)
    }
}
