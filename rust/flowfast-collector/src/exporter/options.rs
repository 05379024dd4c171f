//! What to export.

use std::{str::FromStr, time::Duration};

use super::{error::ExportOptionsError, order::FieldOrder, template::NamedTemplate};

/// Addresses 127.0.0.1 and up; more would exceed the usual limit of 1024 open files.
pub(super) const MAX_EXPORTERS: usize = 1000;

/// The largest UDP payload over IPv4.
pub(super) const MAX_DATAGRAM_OCTETS: usize = 65_507;

/// Exporters have been up for some days when they start to export.
pub(super) const MIN_START_TIME_S: u32 = 30 * 86_400;

/// A wire format that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NetFlow v5.
    Netflow5,
    /// NetFlow v9 (RFC 3954).
    Netflow9,
    /// IPFIX (RFC 7011).
    Ipfix,
    /// sFlow v5.
    Sflow,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Netflow5, Self::Netflow9, Self::Ipfix, Self::Sflow];

    /// As written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Netflow5 => "v5",
            Self::Netflow9 => "v9",
            Self::Ipfix => "ipfix",
            Self::Sflow => "sflow",
        }
    }
}

impl FromStr for Format {
    type Err = ExportOptionsError;

    fn from_str(name: &str) -> Result<Self, ExportOptionsError> {
        by_name("format", name, &Self::ALL, Self::name)
    }
}

/// Finds the value called `name`.
pub(super) fn by_name<T: Copy>(
    kind: &'static str,
    name: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<T, ExportOptionsError> {
    all.iter()
        .copied()
        .find(|&value| name_of(value) == name)
        .ok_or_else(|| ExportOptionsError::UnknownName {
            kind,
            name: name.to_owned(),
            names: name_list(all.iter().map(|&value| name_of(value))),
        })
}

fn name_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// What to export, how fast, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// Wire format of all Exporters.
    pub format: Format,
    /// The fields of a record; `None`: the format's usual ones, [`NamedTemplate::default_of`].
    pub template: Option<NamedTemplate>,
    /// The order of the fields; v5 has only its own.
    pub order: FieldOrder,
    /// Flow Records to export in all; 0: no bound but `duration`.
    pub count: u64,
    /// Stop after this long: wall-clock time over UDP, the simulated clock in a pcap. With a rate, that is
    /// after as many flows; a sender that cannot keep the rate gives up a second later.
    pub duration: Option<Duration>,
    /// Flow Records per second of all Exporters together; 0: as fast as possible.
    pub rate_flows_per_s: f64,
    /// Chooses the flows, and the field order `Shuffled`. One seed, one stream.
    pub seed: u64,
    /// The id of the IPv4 template; its IPv6 sister has the next one. 256 or more (RFC 7011 section 3.4.1).
    pub first_template_id: u16,
    /// Number of Exporters, 1 to 1000. Over IPv4 each has its own address (127.0.0.1 and up), over IPv6
    /// its own port; each has its own Observation Domain.
    pub exporters: usize,
    /// An Exporter repeats its Templates before every so many datagrams of data.
    pub template_refresh_datagrams: u64,
    /// Upper bound of a datagram's UDP payload.
    pub max_datagram_octets: usize,
    /// Send many datagrams in one system call where the kernel can (UDP_SEGMENT), and not each in its own, as real Exporters do.
    pub trains: bool,
    /// Share of IPv6 flows, rounded to whole records per datagram; v5 and `set-a` are IPv4 only.
    pub ipv6_percent: u8,
    /// When the Exporters' clock starts, UNIX seconds. `None`: now over UDP, 2026-01-01T00:00:00Z in a
    /// pcap, so that a pcap depends on nothing but its options.
    pub start_time_s: Option<u32>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            format: Format::Ipfix,
            template: None,
            order: FieldOrder::Canonical,
            count: 0,
            duration: None,
            rate_flows_per_s: 0.0,
            seed: 1,
            first_template_id: 256,
            exporters: 1,
            template_refresh_datagrams: 1000,
            max_datagram_octets: 1464,
            trains: true,
            ipv6_percent: 20,
            start_time_s: None,
        }
    }
}

impl ExportOptions {
    /// The template, or the format's usual one.
    pub(super) fn named_template(&self) -> NamedTemplate {
        self.template
            .unwrap_or(NamedTemplate::default_of(self.format))
    }

    /// Flow Records to export in all if `rate_flows_per_s` is kept (0: unknown) until the end of `duration`.
    pub(super) fn flow_bound(&self, rate_flows_per_s: f64) -> u64 {
        /// Never reached; half the range, so that sums with it do not overflow.
        const UNBOUNDED: u64 = u64::MAX / 2;
        let by_count = if self.count == 0 {
            UNBOUNDED
        } else {
            self.count.min(UNBOUNDED)
        };
        match self.duration {
            Some(duration) if rate_flows_per_s > 0.0 => {
                by_count.min((duration.as_secs_f64() * rate_flows_per_s) as u64)
            }
            _ => by_count,
        }
    }

    /// Checks what can be checked without building a message.
    pub(super) fn validate(&self) -> Result<(), ExportOptionsError> {
        let template = self.named_template();
        if !template.formats().contains(&self.format) {
            return Err(ExportOptionsError::TemplateOfOtherFormat {
                format: self.format.name(),
                template: template.name(),
                names: name_list(
                    NamedTemplate::ALL
                        .iter()
                        .filter(|named| named.formats().contains(&self.format))
                        .map(|named| named.name()),
                ),
            });
        }
        let is_fixed = matches!(self.order, FieldOrder::Canonical | FieldOrder::AsListed);
        if matches!(self.format, Format::Netflow5 | Format::Sflow) && !is_fixed {
            return Err(ExportOptionsError::FixedOrder {
                order: self.order.name(),
                format: self.format.name(),
            });
        }
        if self.count == 0 && self.duration.is_none() {
            return Err(ExportOptionsError::Unbounded);
        }
        if !(self.rate_flows_per_s.is_finite() && self.rate_flows_per_s >= 0.0) {
            return Err(ExportOptionsError::Rate(self.rate_flows_per_s.to_string()));
        }
        if !(1..=MAX_EXPORTERS).contains(&self.exporters) {
            return Err(ExportOptionsError::Exporters(self.exporters));
        }
        if self.ipv6_percent > 100 {
            return Err(ExportOptionsError::Ipv6Percent(self.ipv6_percent));
        }
        if self.template_refresh_datagrams == 0 {
            return Err(ExportOptionsError::TemplateRefresh);
        }
        if let Some(early) = self
            .start_time_s
            .filter(|&time_s| time_s < MIN_START_TIME_S)
        {
            return Err(ExportOptionsError::StartTime(early));
        }
        Ok(())
    }
}
