//! What each format does with a datagram. To add one: a view in `wire`, a file here, a line in `FORMATS`.

mod fixed;
mod ipfix;
mod netflow9;
mod sflow;
mod templated;

use crate::decoder::{Datagram, Decoder};
use crate::error::DecodeError;

pub(crate) use fixed::definitions as fixed_definitions;
pub(crate) use sflow::SampleReader;
pub(crate) use templated::{Step, append_waiting, learn_waiting};

/// A format: how to recognise it, how to decode it.
pub(crate) struct Format {
    probe: fn(&[u8]) -> bool,
    decode: fn(&mut Decoder, &Datagram<'_>) -> Result<(), DecodeError>,
}

static FORMATS: &[Format] = &[
    fixed::FORMAT,
    netflow9::FORMAT,
    ipfix::FORMAT,
    sflow::FORMAT,
];

/// Decodes a datagram in whatever format it is: every port takes every format.
pub(crate) fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    if datagram.payload.len() < 2 {
        return Err(DecodeError::HeaderTruncated);
    }
    let format = FORMATS
        .iter()
        .find(|format| (format.probe)(datagram.payload))
        .ok_or(DecodeError::UnknownVersion)?;
    (format.decode)(decoder, datagram)
}
