//! flowfast's own Exporting Process: deterministic NetFlow v5, v9, IPFIX and sFlow for tests and benchmarks.
//!
//! It exports a realistic mix (Zipf addresses and services, IPv4 and IPv6, heavy-tailed volumes) from
//! several Exporters, to UDP on loopback ([`export_udp`]) or into a pcap file ([`export_pcap`]), and
//! says in [`Sent`] what an independent count of the emitted octets would give.
//!
//! One seed gives each Exporter one stream of flows, whatever the order of fields and the place it goes to,
//! and, of IPv4 alone, whatever the format. A pcap is reproduced to the octet; [`Messages`] gives the same messages without
//! a file. Over UDP the sender must cost less than what it measures, so each Exporter sends from a ring
//! of prebuilt datagrams in which only sequence numbers and header times are written anew: the times
//! within the records are those of the minute before the run began, and flows recur after a ring.
//!
//! A wire format is one file in `encode/` and one line in `encode::encoder`.

mod course;
mod element;
mod encode;
mod error;
mod messages;
mod mix;
mod options;
mod order;
mod pace;
mod pcap;
mod process;
mod random;
mod ring;
mod send;
mod sent;
mod template;
mod train;

#[cfg(test)]
mod tests;

pub use error::ExportOptionsError;
pub use messages::{Message, Messages};
pub use options::{ExportOptions, Format};
pub use order::FieldOrder;
pub use pcap::export_pcap;
pub use send::export_udp;
pub use sent::{ExporterSent, Sent, Tally};
pub use template::NamedTemplate;
