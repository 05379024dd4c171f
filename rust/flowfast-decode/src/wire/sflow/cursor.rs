//! XDR (RFC 4506), as much of it as sFlow uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::be32;

/// What is left to read. Every method gives `None` where too little is (FF-SF-06).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// So many octets.
    pub(crate) fn take(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(octets)?;
        self.rest = rest;
        Some(taken)
    }

    /// An unsigned integer (RFC 4506 section 4.2).
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        self.take(4).map(|octets| be32(octets, 0))
    }

    /// Variable-length opaque data or a string (sections 4.10, 4.11), padded to a multiple of four (FF-SF-08).
    pub(crate) fn opaque(&mut self) -> Option<&'a [u8]> {
        let len = self.unsigned()? as usize;
        let octets = self.take(len)?;
        // Some exporters leave the padding out at the very end.
        let padding = len.next_multiple_of(4) - len;
        self.rest = self.rest.get(padding..).unwrap_or_default();
        Some(octets)
    }

    /// A variable-length array (section 4.13) of integers, as its octets.
    pub(crate) fn array(&mut self) -> Option<&'a [u8]> {
        let count = self.unsigned()? as usize;
        self.take(count.checked_mul(4)?)
    }

    /// sFlow's union of addresses; `Some(None)`: of unknown type, without octets.
    pub(crate) fn address(&mut self) -> Option<Option<IpAddr>> {
        match self.unsigned()? {
            0 => Some(None),
            1 => {
                let octets: [u8; 4] = self.take(4)?.try_into().ok()?;
                Some(Some(Ipv4Addr::from(octets).into()))
            }
            2 => {
                let octets: [u8; 16] = self.take(16)?.try_into().ok()?;
                Some(Some(Ipv6Addr::from(octets).into()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_data_is_padded() {
        // RFC 4506 section 4.10; FF-SF-08.
        let mut cursor = Cursor::new(&[0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(cursor.opaque(), Some(&[1, 2, 3, 4, 5][..]));
        assert_eq!(cursor.unsigned(), Some(9));
        assert_eq!(
            Cursor::new(&[0, 0, 0, 1, 7]).opaque(),
            Some(&[7][..]),
            "without padding"
        );
    }

    #[test]
    fn lengths_and_counts_stay_within_what_is_left() {
        // FF-SF-06.
        assert_eq!(Cursor::new(&[255; 8]).opaque(), None);
        assert_eq!(Cursor::new(&[255; 8]).array(), None);
        assert_eq!(Cursor::new(&[0x40, 0, 0, 1, 0, 0, 0, 0]).array(), None);
        assert_eq!(Cursor::new(&[0, 0, 0, 1, 1, 2, 3]).address(), None);
        assert_eq!(Cursor::new(&[0, 0, 0, 3, 1, 2, 3, 4]).address(), None);
        assert_eq!(Cursor::new(&[0, 0, 0, 0]).address(), Some(None));
    }
}
