//! Messages of the wire formats: one file each, all the same shape.

mod ipfix;
mod netflow5;
mod netflow9;
mod set;
mod sflow;

use super::{mix::Flow, options::Format, template::Templates};

/// What the header of one message says beside its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Export time, UNIX milliseconds.
    pub(super) time_ms: u64,
    /// When the Exporter started, UNIX milliseconds.
    pub(super) boot_time_ms: u64,
    /// In the format's own unit: see [`Encoder::sequence_step`].
    pub(super) sequence: u32,
    /// Observation Domain: v5 engine, v9 Source ID.
    pub(super) observation_domain_id: u32,
    /// Records in the data messages before this one, in a format without templates.
    pub(super) records_before: u32,
}

/// Builds the messages of one Exporter in one wire format.
///
/// Messages are built once and stamped for each time that they are sent, so a header's variable fields
/// are written by `stamp` alone.
pub(super) trait Encoder {
    /// The most records that the format allows in one message.
    fn max_records(&self) -> usize;

    /// Octets of a data message with so many records of each address family.
    fn data_message_octets(&self, ipv4: usize, ipv6: usize) -> usize;

    /// A message with all Templates, if the format has any; its header is yet to be stamped.
    fn template_message(&self) -> Option<Vec<u8>>;

    /// A message with these flows, sorted by address family; its header is yet to be stamped.
    fn data_message(&self, flows: &[Flow], boot_time_ms: u64) -> Vec<u8>;

    /// Writes times, sequence number and Observation Domain into the header of a message that this built.
    fn stamp(&self, message: &mut [u8], header: Header);

    /// By how much a message with so many data records advances the sequence number.
    fn sequence_step(&self, records: u32) -> u32;

    /// Packets and octets of which a record of the flow tells.
    fn volume(&self, flow: &Flow) -> (u64, u64) {
        (flow.packets, flow.octets)
    }
}

/// The encoder of a format. To add a wire format: a file beside this one, and a line here.
pub(super) fn encoder(format: Format, templates: Templates) -> Box<dyn Encoder> {
    match format {
        Format::Netflow5 => Box::new(netflow5::Netflow5(templates)),
        Format::Netflow9 => Box::new(netflow9::Netflow9(templates)),
        Format::Ipfix => Box::new(ipfix::Ipfix(templates)),
        Format::Sflow => Box::new(sflow::Sflow),
    }
}

/// Overwrites part of a header, in network byte order.
fn put<const N: usize>(message: &mut [u8], offset: usize, octets: [u8; N]) {
    message[offset..offset + N].copy_from_slice(&octets);
}
