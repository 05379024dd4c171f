//! The sFlow datagram: its header, and the tagged structures that samples and records come in.

use std::net::IpAddr;

use super::cursor::Cursor;
use crate::bytes::be32;
use crate::error::DecodeError;

/// Where the agent address stands.
const AGENT: usize = 4;

/// Fields after the agent address. v2 and v4 have no sub-agent id: theirs begin at `SEQUENCE`.
mod offset {
    pub(super) const SUB_AGENT: usize = 0;
    pub(super) const SEQUENCE: usize = 4;
    pub(super) const UPTIME: usize = 8;
    pub(super) const SAMPLE_COUNT: usize = 12;
    pub(super) const SAMPLES: usize = 16;
}

/// The versions that are decoded (FF-SF-07).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V2,
    V4,
    V5,
}

impl Version {
    /// Reads the first word of a datagram.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first_chunk::<4>().copied().map(u32::from_be_bytes)? {
            2 => Some(Self::V2),
            4 => Some(Self::V4),
            5 => Some(Self::V5),
            _ => None,
        }
    }
}

/// A datagram whose header is whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SflowDatagram<'a> {
    version: Version,
    agent: Option<IpAddr>,
    bytes: &'a [u8],
    /// Where `offset` counts from; for v2 and v4 four octets early, within the agent address.
    base: usize,
}

impl<'a> SflowDatagram<'a> {
    /// Ensures that no getter will panic.
    pub(crate) fn new_checked(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let version = Version::of(bytes).ok_or(DecodeError::UnknownVersion)?;
        let mut cursor = Cursor::new(&bytes[AGENT..]);
        let address_type = cursor.clone().unsigned();
        let agent = cursor.address().ok_or(match address_type {
            Some(3..) => DecodeError::AgentAddressType,
            _ => DecodeError::HeaderTruncated,
        })?;
        let fields = bytes.len() - cursor.rest().len();
        let base = match version {
            Version::V5 => fields,
            Version::V2 | Version::V4 => fields - offset::SEQUENCE,
        };
        if bytes.len() < base + offset::SAMPLES {
            return Err(DecodeError::HeaderTruncated);
        }
        Ok(Self {
            version,
            agent,
            bytes,
            base,
        })
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Who the datagram is from, if it says (FF-SF-04).
    pub(crate) fn agent(&self) -> Option<IpAddr> {
        self.agent.filter(|agent| !agent.is_unspecified())
    }

    /// Which of the agent's processes sent it; v2 and v4 do not say.
    pub(crate) fn sub_agent(&self) -> Option<u32> {
        (self.version == Version::V5).then(|| be32(self.bytes, self.base + offset::SUB_AGENT))
    }

    /// Datagrams that the sub-agent sent before this one, about.
    pub(crate) fn sequence(&self) -> u32 {
        be32(self.bytes, self.base + offset::SEQUENCE)
    }

    /// Milliseconds since the agent started.
    pub(crate) fn uptime_ms(&self) -> u32 {
        be32(self.bytes, self.base + offset::UPTIME)
    }

    /// Samples that it announces.
    pub(crate) fn sample_count(&self) -> u32 {
        be32(self.bytes, self.base + offset::SAMPLE_COUNT)
    }

    /// The samples.
    pub(crate) fn samples(&self) -> Cursor<'a> {
        Cursor::new(&self.bytes[self.base + offset::SAMPLES..])
    }
}

/// Reads a structure that says its type and length: a v5 sample or record. `None` if it is longer than what is left.
pub(crate) fn tagged<'a>(cursor: &mut Cursor<'a>) -> Option<(u32, &'a [u8])> {
    let tag = cursor.unsigned()?;
    Some((tag, cursor.opaque()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn headers_of_each_version() {
        let v5 = words(&[5, 1, 0x0a09_0909, 7, 321, 60_000, 1, 99]);
        let datagram = SflowDatagram::new_checked(&v5).unwrap();
        assert_eq!(datagram.agent(), Some(IpAddr::from([10, 9, 9, 9])));
        assert_eq!((datagram.sub_agent(), datagram.sequence()), (Some(7), 321));
        assert_eq!((datagram.uptime_ms(), datagram.sample_count()), (60_000, 1));
        assert_eq!(datagram.samples().rest(), words(&[99]));

        let v4 = words(&[4, 2, 1, 2, 3, 4, 321, 60_000, 0]);
        let datagram = SflowDatagram::new_checked(&v4).unwrap();
        assert!(datagram.agent().is_some_and(|agent| agent.is_ipv6()));
        assert_eq!((datagram.sub_agent(), datagram.sequence()), (None, 321));
        assert_eq!(
            (datagram.uptime_ms(), datagram.samples().rest().len()),
            (60_000, 0)
        );
    }

    #[test]
    fn agents_without_an_address() {
        let none = words(&[5, 0, 7, 321, 60_000, 0]);
        assert_eq!(SflowDatagram::new_checked(&none).unwrap().agent(), None);
        let unspecified = words(&[5, 1, 0, 7, 321, 60_000, 0]);
        let datagram = SflowDatagram::new_checked(&unspecified).unwrap();
        assert_eq!((datagram.agent(), datagram.sequence()), (None, 321));
    }

    #[test]
    fn headers_that_are_none() {
        // FF-SF-07.
        let error = |bytes: &[u8]| SflowDatagram::new_checked(bytes).unwrap_err();
        for version in [0, 1, 3, 6] {
            assert_eq!(
                error(&words(&[version, 1, 2, 3, 4, 5, 0])),
                DecodeError::UnknownVersion
            );
        }
        assert_eq!(
            error(&words(&[5, 3, 2, 3, 4, 5, 0])),
            DecodeError::AgentAddressType
        );
        let whole = words(&[5, 1, 2, 3, 4, 5, 0]);
        for len in 4..whole.len() {
            assert_eq!(error(&whole[..len]), DecodeError::HeaderTruncated);
        }
    }
}
