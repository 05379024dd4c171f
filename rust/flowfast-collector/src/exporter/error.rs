//! Options that no export can meet, told to a person.

use std::{io, net::IpAddr};

/// Options that cannot be met: one sentence and a `hint:` line.
///
/// The exporting functions return it within an [`io::Error`] of kind `InvalidInput`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportOptionsError {
    /// No format, template or field order has this name.
    #[error("unknown {kind} `{name}`\nhint: choose one of {names}")]
    UnknownName {
        /// What was to be named.
        kind: &'static str,
        /// As given.
        name: String,
        /// The names there are.
        names: String,
    },
    /// The template does not exist in the format.
    #[error("{format} has no template `{template}`\nhint: choose one of {names}")]
    TemplateOfOtherFormat {
        /// The format's name.
        format: &'static str,
        /// The template's name.
        template: &'static str,
        /// The templates that the format has.
        names: String,
    },
    /// v5 records have one layout, and sampled packets their own.
    #[error(
        "the order `{order}` does not apply to {format}, whose fields are fixed\nhint: choose v9 or ipfix, or leave the order out"
    )]
    FixedOrder {
        /// The order's name.
        order: &'static str,
        /// The format's name.
        format: &'static str,
    },
    /// Neither a number of flows nor a duration bounds the export.
    #[error("the export would never end\nhint: give a number of flows or a duration")]
    Unbounded,
    /// The rate is negative, infinite or no number.
    #[error(
        "{0} is no rate\nhint: give flows per second, or 0 for as many as the machine can send"
    )]
    Rate(String),
    /// Too few or too many Exporters.
    #[error("{0} exporters are not possible\nhint: choose between 1 and {max}", max = super::options::MAX_EXPORTERS)]
    Exporters(usize),
    /// More than the whole.
    #[error("{0} percent of IPv6 is not possible\nhint: choose between 0 and 100")]
    Ipv6Percent(u8),
    /// A template refresh after no datagram at all.
    #[error("templates cannot be refreshed every 0 datagrams\nhint: choose 1 or more")]
    TemplateRefresh,
    /// The Exporters would have started before 1970.
    #[error("the start time {0} is too early\nhint: choose {min} (in UNIX seconds) or later", min = super::options::MIN_START_TIME_S)]
    StartTime(u32),
    /// The datagram is larger than UDP carries, or has no room for a template and a record.
    #[error("datagrams of {octets} octets are not possible\nhint: choose between {min} and {max}")]
    DatagramOctets {
        /// As given.
        octets: usize,
        /// The least that holds a record of each address family and the templates.
        min: usize,
        /// The most that UDP carries over IPv4.
        max: usize,
    },
    /// The target is another machine, or may be one.
    #[error(
        "refusing to export to {0}: flowfast generates load for loopback only\nhint: send to an address in 127.0.0.0/8 or to ::1"
    )]
    NotLoopback(IpAddr),
}

impl From<ExportOptionsError> for io::Error {
    fn from(error: ExportOptionsError) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}
