//! Sets (RFC 7011 section 3.3, "FlowSets" in RFC 3954): what v9 packets and IPFIX messages are made of.

use crate::bytes::be16;
use crate::error::DecodeError;

/// Set id and length.
pub(crate) const HEADER_LEN: usize = 4;

/// One set, its header taken off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set<'a> {
    pub(crate) id: u16,
    /// Where the body begins in the message.
    pub(crate) offset: usize,
    pub(crate) body: &'a [u8],
}

impl Set<'_> {
    /// Where it stands in the message, with its header.
    pub(crate) fn octets(&self) -> std::ops::Range<usize> {
        self.offset - HEADER_LEN..self.offset + self.body.len()
    }
}

/// Walks sets by their lengths (FF-IX-06, FF-V9-02); ends after the first fault.
#[derive(Clone, Debug)]
pub(crate) struct Sets<'a> {
    message: &'a [u8],
    at: usize,
    zeros_are_padding: bool,
}

impl<'a> Sets<'a> {
    /// The sets of a message whose header has `header_len` octets.
    pub(crate) fn new(message: &'a [u8], header_len: usize) -> Self {
        Self {
            message,
            at: header_len,
            zeros_are_padding: false,
        }
    }

    /// A v9 packet does not say how long it is, and some exporters fill it up with zeros.
    pub(crate) fn until_zeros(self) -> Self {
        Self {
            zeros_are_padding: true,
            ..self
        }
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = Result<Set<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self
            .message
            .get(self.at..)
            .filter(|rest| !rest.is_empty())?;
        let start = std::mem::replace(&mut self.at, self.message.len());
        if self.zeros_are_padding && bytes[0] == 0 && bytes.iter().all(|&octet| octet == 0) {
            return None;
        }
        if bytes.len() < HEADER_LEN {
            return Some(Err(DecodeError::SetOverrun));
        }
        let length = usize::from(be16(bytes, 2));
        if length < HEADER_LEN {
            return Some(Err(DecodeError::SetLength));
        }
        if length > bytes.len() {
            return Some(Err(DecodeError::SetOverrun));
        }
        self.at = start + length;
        Some(Ok(Set {
            id: be16(bytes, 0),
            offset: start + HEADER_LEN,
            body: &bytes[HEADER_LEN..length],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(bytes: &[u8]) -> Vec<Result<(u16, usize), DecodeError>> {
        Sets::new(bytes, 0)
            .map(|set| set.map(|s| (s.id, s.body.len())))
            .collect()
    }

    #[test]
    fn sets_follow_each_other_by_length() {
        assert_eq!(
            walk(&[1, 0, 0, 5, 9, 0, 2, 0, 4]),
            [Ok((256, 1)), Ok((2, 0))]
        );
        assert_eq!(walk(&[]), []);
    }

    #[test]
    fn zeros_at_the_end_of_a_packet_are_padding() {
        let bytes = [1, 0, 0, 5, 9, 0, 0, 0, 0, 0];
        let ids: Vec<_> = Sets::new(&bytes, 0)
            .until_zeros()
            .map(|set| set.map(|s| s.id))
            .collect();
        assert_eq!(ids, [Ok(256)]);
        assert_eq!(walk(&bytes)[1], Err(DecodeError::SetLength));
    }

    #[test]
    fn lying_lengths_end_the_walk() {
        // FF-IX-03: below the header, or longer than the rest of the message.
        assert_eq!(
            walk(&[1, 0, 0, 0, 1, 0, 0, 4]),
            [Err(DecodeError::SetLength)]
        );
        assert_eq!(
            walk(&[1, 0, 0, 4, 1, 0, 0, 9, 1]),
            [Ok((256, 0)), Err(DecodeError::SetOverrun)]
        );
        assert_eq!(walk(&[1, 0, 0]), [Err(DecodeError::SetOverrun)]);
    }
}
