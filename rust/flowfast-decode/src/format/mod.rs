//! What each format does with a datagram. To add one: a view in `wire`, a file here, a line in `decode`.

mod commit;
mod fixed;
mod ipfix;
mod netflow9;
mod sflow;
mod templated;

use crate::decoder::{Datagram, Decoder};
use crate::error::DecodeError;
use crate::template::domain::DomainKey;
use crate::wire::set::Sets;

pub(crate) use fixed::{definitions as fixed_definitions, layout_index as fixed_layout_index};
pub(crate) use sflow::SampleReader;
pub(crate) use templated::Scratch;

/// Decodes a datagram in whatever format it is: every port takes every format. The first 16 bits are the version, but for sFlow, whose
/// version has 32.
pub(crate) fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    let version = datagram.payload.first_chunk();
    match u16::from_be_bytes(*version.ok_or(DecodeError::HeaderTruncated)?) {
        1 | 5..=8 => fixed::decode(decoder, datagram),
        9 => netflow9::decode(decoder, datagram),
        10 => ipfix::decode(decoder, datagram),
        0 => sflow::decode(decoder, datagram),
        _ => Err(DecodeError::UnknownVersion),
    }
}

/// What the header of a datagram tells of what decoding it will need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    /// Whose message it is.
    pub(crate) key: DomainKey,
    /// Of its first set, if its format has some.
    pub(crate) set_id: Option<u16>,
}

impl Announced {
    fn new(key: DomainKey, mut sets: Sets<'_>) -> Self {
        let first = sets.next().and_then(Result::ok);
        Self {
            key,
            set_id: first.map(|set| set.id),
        }
    }
}

/// What a datagram announces, if it seems to be one that can be decoded.
pub(crate) fn announce(datagram: &Datagram<'_>) -> Option<Announced> {
    match u16::from_be_bytes(*datagram.payload.first_chunk()?) {
        1 | 5..=8 => fixed::announce(datagram),
        9 => netflow9::announce(datagram),
        10 => ipfix::announce(datagram),
        0 => sflow::announce(datagram),
        _ => None,
    }
}

/// The time in a message's header, whose seconds are 32 bits: of all times it can mean, the one nearest to when the message was
/// received (FF-SQ-07; the seconds begin again on 7 February 2106).
fn sent_ms(header_ms: i64, received_ns: i64) -> i64 {
    const ERA_MS: i64 = (1 << 32) * 1000;
    let later_ms = received_ns / 1_000_000 - header_ms;
    let eras = (later_ms + ERA_MS / 2).div_euclid(ERA_MS).max(0);
    header_ms + eras * ERA_MS
}

#[cfg(test)]
mod tests {
    use super::sent_ms;

    #[test]
    fn header_times_are_near_the_receive_time() {
        // FF-SQ-07: seconds of 32 bits, around their first wrap, and without a receive time.
        let wrap_s = 1_i64 << 32;
        let sent_s = |header_s: i64, received_s| {
            sent_ms(header_s * 1000 + 7, received_s * 1_000_000_000) / 1000
        };
        assert_eq!(sent_s(1_700_000_000, 1_700_000_001), 1_700_000_000);
        assert_eq!(sent_s(wrap_s - 1, wrap_s + 3), wrap_s - 1);
        assert_eq!(sent_s(2, wrap_s - 1), wrap_s + 2);
        assert_eq!(sent_s(2, wrap_s + 3), wrap_s + 2);
        assert_eq!(sent_s(wrap_s - 1, 0), wrap_s - 1);
    }
}
